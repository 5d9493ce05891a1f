"""What a driver's error says about the database: out of reach, damaged, full, read-only, or without tables."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import Literal

Fault = Literal["", "unreachable", "damaged", "full", "read_only", "no_tables"]
PASSING: tuple[Fault, ...] = ("unreachable", "full", "read_only")  # work can go on once they are over
PASSING_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
BY_SQLITE_NAME: dict[str, Fault] = {
    "SQLITE_CORRUPT": "damaged",
    "SQLITE_NOTADB": "damaged",
    "SQLITE_FORMAT": "damaged",
    "SQLITE_FULL": "full",
    "SQLITE_READONLY": "read_only",
}
# Classes and codes of PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
BY_SQLSTATE: dict[str, Fault] = {
    "XX001": "damaged",
    "XX002": "damaged",
    "53100": "full",
    "25006": "read_only",
    "42P01": "no_tables",
    "42703": "no_tables",  # an older schema
}


def database_fault(error: object) -> Fault:
    """Return what a driver's exception says; an empty string if the statement is to blame."""
    if isinstance(error, sqlite3.Error):
        return _sqlite_fault(error)
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if known := BY_SQLSTATE.get(getattr(error, "pgcode", None) or ""):
        return known
    return "unreachable" if kinds & {"OperationalError", "InterfaceError"} else ""


def _sqlite_fault(error: sqlite3.Error) -> Fault:
    name, text = getattr(error, "sqlite_errorname", ""), str(error)
    for start, fault in BY_SQLITE_NAME.items():
        if name.startswith(start):
            return fault
    if "no such table" in text or "no such column" in text:
        return "no_tables"
    if "decode to UTF-8" in text:
        return "damaged"
    return "unreachable" if name and name != "SQLITE_ERROR" and isinstance(error, sqlite3.OperationalError) else ""


def is_passing(error: BaseException) -> bool:
    """Whether work that met this error can go on by itself once the database or the disk is well again."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, OSError):
        return cause.errno in PASSING_ERRNOS
    return database_fault(cause) in PASSING


def may_write(database: str) -> bool:
    """Whether this process may change a SQLite file, and create the files beside it."""
    path = Path(database)
    return not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
