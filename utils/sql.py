"""What SQLite and PostgreSQL spell differently, behind one name each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, Integer, Table, Text, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

# Compared byte by byte on both, so that a prefix is a range that an index serves.
BinaryText = Text().with_variant(Text(collation="C"), "postgresql")

# SQLite's own row number where the column is the key alone: only the exact word INTEGER makes it that.
BigKey = BigInteger().with_variant(Integer, "sqlite")

SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "cache_size=-8000",
    "foreign_keys=ON",
    "busy_timeout=5000",
)


def prepare_sqlite(engine: Engine) -> None:
    """Give each new SQLite connection its pragmas; other databases are left alone."""

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _entry: ConnectionPoolEntry) -> None:
        if isinstance(connection, sqlite3.Connection):
            for pragma in SQLITE_PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")


def dialect(session: Session | Connection) -> str:
    bind = session.get_bind() if isinstance(session, Session) else session
    return bind.dialect.name


def by_dialect(session: Session | Connection, *, sqlite: str, postgresql: str) -> str:
    """Return the text that the session's database understands."""
    return {"sqlite": sqlite, "postgresql": postgresql}[dialect(session)]


def upsert(
    session: Session,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    replace: Iterable[str] = (),
    add: Iterable[str] = (),
) -> None:
    """Insert rows; where the primary key is there already, `replace` takes the new value and `add` adds it.

    With neither, rows that are there stay as they are.
    """
    if not rows:
        return
    maker = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect(session)]
    statement: Any = maker(table)
    changes = {name: statement.excluded[name] for name in replace}
    changes |= {name: table.c[name] + statement.excluded[name] for name in add}
    keys = [column.name for column in table.primary_key]
    if changes:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    if dialect(session) == "sqlite" and _plain(table):
        # A hundred thousand small rows an import: SQLAlchemy's parameter handling would cost more than SQLite.
        names = list(rows[0])
        compiled = statement.compile(dialect=session.get_bind().dialect, column_keys=names)
        order = compiled.positiontup
        values = [tuple(row[name] for name in order) for row in rows]
        session.connection().exec_driver_sql(str(compiled), values)
    else:
        session.execute(statement, list(rows))


def _plain(table: Table) -> bool:
    """True where every column takes its value as it is."""
    return all(isinstance(column.type, Integer | Text) or column.type is BigKey for column in table.columns)


def int_list(values: Iterable[int]) -> str:
    """Return `1,2,3` for an SQL `IN (…)`: numbers only, so that it need not be bound; `NULL` for none."""
    return ",".join(str(int(value)) for value in values) or "NULL"


def like_prefix(prefix: str) -> tuple[str, str]:
    """Return the half-open range of strings that begin with `prefix`, for a column compared byte by byte."""
    return prefix, prefix + "\U0010ffff"
