"""What an error of a driver says about the database."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.exc import OperationalError

from utils.database_faults import database_fault, is_passing, may_write


def error_of(path: Path, *statements: str) -> sqlite3.Error:
    """Return the error that the last of some statements meets."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements[:-1]:
            connection.execute(statement)
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute(statements[-1]).fetchall()
        return caught.value


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (("SELECT * FROM missing",), "no_tables"),
        (("CREATE TABLE a (b)", "SELECT c FROM a"), "no_tables"),
        (("SELEC 1",), ""),
        (("CREATE TABLE a (b UNIQUE)", "INSERT INTO a VALUES (1)", "INSERT INTO a VALUES (1)"), ""),
        (("CREATE TABLE a (b)", "PRAGMA max_page_count=2", "INSERT INTO a VALUES (zeroblob(100000))"), "full"),
        (("CREATE TABLE a (b)", "PRAGMA query_only=1", "INSERT INTO a VALUES (1)"), "read_only"),
        (("SELECT CAST(x'ff' AS TEXT)",), "damaged"),
    ],
)
def test_what_sqlite_says(tmp_path: Path, statements: tuple[str, ...], fault: str) -> None:
    assert database_fault(error_of(tmp_path / "a.db", *statements)) == fault


def test_a_file_that_is_no_database_is_damaged_and_a_folder_is_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database " * 1_000)
    assert database_fault(error_of(tmp_path / "a.db", "SELECT * FROM a")) == "damaged"
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(tmp_path)
    assert database_fault(caught.value) == "unreachable"


def test_what_postgresql_says() -> None:
    with pytest.raises(psycopg2.Error) as caught:
        psycopg2.connect("host=127.0.0.1 port=1 connect_timeout=1")
    assert database_fault(caught.value) == "unreachable"
    assert [database_fault(kind()) for kind in (psycopg2.InterfaceError, psycopg2.DataError)] == ["unreachable", ""]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (OSError(errno.EROFS, "read-only"), True),
        (FileNotFoundError(errno.ENOENT, "gone"), False),
        (OperationalError("SELECT 1", {}, psycopg2.OperationalError("gone")), True),
        (OperationalError("SELECT 1", {}, sqlite3.OperationalError("a mistake")), False),
        (ValueError("a mistake"), False),
    ],
)
def test_what_passes_by_itself(error: Exception, passes: bool) -> None:
    assert is_passing(error) == passes


def test_a_file_that_is_not_there_may_be_made(tmp_path: Path) -> None:
    assert may_write(str(tmp_path / "new.db"))
