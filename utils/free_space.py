"""Erases what was deleted from a database's files: deleting only marks the space as free."""

from __future__ import annotations

import time

from sqlalchemy import Connection, Engine, text

CHECKPOINT_S = 10.0  # for readers to end, so that SQLite's log can be emptied
PAUSE_S = 0.1


def erase_free_space(engine: Engine, tables: tuple[str, ...]) -> bool:
    """Rewrite a SQLite file, or these tables of PostgreSQL, without what was deleted.

    Returns whether nothing of it is left in the files; with SQLite a reader that does not end keeps a part in the log,
    until the next checkpoint. Raises DBAPIError, for example if the disk is too full for a second copy.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("VACUUM"))
            return _log_is_emptied(connection)
        connection.execute(text("SET statement_timeout = 0"))
        try:
            for table in tables:
                connection.execute(text(f'VACUUM (FULL) "{table}"'))
        finally:
            connection.execute(text("RESET statement_timeout"))
    return True


def _log_is_emptied(connection: Connection) -> bool:
    deadline = time.monotonic() + CHECKPOINT_S
    while True:
        is_busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
        if not is_busy or time.monotonic() > deadline:
            return not is_busy
        time.sleep(PAUSE_S)
