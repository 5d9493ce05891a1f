"""What was deleted is nowhere in the database's files once its free space is erased."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text

from utils import free_space
from utils.free_space import erase_free_space
from utils.sql import prepare_sqlite

SECRET = "quetzalcoatl" * 50


def sqlite_that_only_marks(path: Path) -> Engine:
    """Return a database where deleting overwrites nothing, as is SQLite's default, but not that of every system."""
    engine = create_engine(f"sqlite:///{path}")
    prepare_sqlite(engine)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA secure_delete = OFF"))
    return engine


def test_a_file_of_sqlite_is_rewritten_and_its_log_emptied(tmp_path: Path) -> None:
    engine = sqlite_that_only_marks(tmp_path / "a.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (b TEXT)"))
        connection.execute(text("INSERT INTO a VALUES (:secret), ('stays')"), {"secret": SECRET})
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM a WHERE b <> 'stays'"))
    stored = [file.read_bytes() for file in tmp_path.iterdir()]
    assert any(SECRET.encode() in content for content in stored)
    assert erase_free_space(engine, ())
    assert not any(b"quetzal" in file.read_bytes() for file in tmp_path.iterdir())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT b FROM a")).scalars().all() == ["stays"]
    engine.dispose()


def test_a_reader_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_space, "CHECKPOINT_S", 0.3)
    engine = sqlite_that_only_marks(tmp_path / "a.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE a (b TEXT)"))
        connection.execute(text("INSERT INTO a VALUES ('stays')"))
    with engine.connect() as reader:
        reader.execute(text("BEGIN"))
        assert reader.execute(text("SELECT count(*) FROM a")).scalar_one() == 1
        assert not erase_free_space(engine, ())
        reader.rollback()
    assert erase_free_space(engine, ())
    engine.dispose()
