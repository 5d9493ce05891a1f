"""SQL that differs between SQLite and PostgreSQL, under one name each."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Integer,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.functions import FunctionElement

from utils.database_faults import may_write

# Compared bytewise on both, so that a prefix is an index range.
BinaryText = Text().with_variant(Text(collation="C"), "postgresql")

# Only the exact type INTEGER makes a primary key SQLite's rowid.
BigKey = BigInteger().with_variant(Integer, "sqlite")

SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "cache_size=-2000",
    "foreign_keys=ON",
    "busy_timeout=5000",
)


def prepare_sqlite(engine: Engine) -> None:
    """Open SQLite files read-only where they cannot be written, and set the pragmas; other databases are left alone."""
    if engine.dialect.name != "sqlite" or not (database := engine.url.database):
        return

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Dialect, entry: ConnectionPoolEntry, _arguments: list[Any], options: dict[str, Any]) -> Any:
        if may_write(database):
            return None
        # Without a log of changes nothing but the file is read: SQLite would want to create files beside it.
        log = Path(f"{database}-wal")
        how = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
        entry.info["read_only"] = True
        return sqlite3.connect(f"{Path(database).absolute().as_uri()}?{how}", **options, uri=True)

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, entry: ConnectionPoolEntry) -> None:
        for pragma in SQLITE_PRAGMAS[1 if entry.info.get("read_only") else 0 :]:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "checkout")
    def leave_read_only(_connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        """Open the file anew once it can be written, or can no longer."""
        if bool(entry.info.get("read_only")) == may_write(database):
            entry.info.pop("read_only", None)
            raise DisconnectionError("the database is opened anew")


@contextmanager
def many_writes(session: Session, cache_kb: int = 4_000) -> Iterator[None]:
    """Tune SQLite for bulk writes, with more cached pages and rarer checkpoints; no effect elsewhere."""
    if dialect(session) != "sqlite":
        yield
        return
    usual = ("cache_size=-2000", "wal_autocheckpoint=1000")
    for pragma in (f"cache_size=-{cache_kb}", "wal_autocheckpoint=8000"):
        session.connection().exec_driver_sql(f"PRAGMA {pragma}")
    try:
        yield
    except BaseException:
        session.rollback()  # a failed commit leaves a session that takes no more statements
        raise
    finally:
        for pragma in usual:
            session.connection().exec_driver_sql(f"PRAGMA {pragma}")
        session.rollback()


def freshen_statistics(session: Session) -> None:
    """Run ANALYZE on PostgreSQL, which autovacuum would only do within minutes; and commit.

    Until then it sorts where it could read in order: 64,000 embeddings took 1.1 s longer to load.
    """
    if dialect(session) == "postgresql":
        session.execute(text("ANALYZE"))
        session.commit()


def dialect(session: Session | Connection) -> str:
    bind = session.get_bind() if isinstance(session, Session) else session
    return bind.dialect.name


def by_dialect(session: Session | Connection, *, sqlite: str, postgresql: str) -> str:
    """Return the SQL text for the session's database."""
    return {"sqlite": sqlite, "postgresql": postgresql}[dialect(session)]


def upsert(
    session: Session,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    replace: Iterable[str] = (),
    add: Iterable[str] = (),
) -> None:
    """Insert rows; if the primary key exists, columns in `replace` are set and those in `add` are added up.

    With neither, existing rows stay as they are.
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
    if dialect(session) == "sqlite":
        _insert_many(session, table, statement, rows)
    else:
        session.execute(statement, list(rows))


ROWS_AT_ONCE = 100


def _insert_many(session: Session, table: Table, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute an insert, a hundred rows at a time.

    SQLAlchemy's handling of each row would cost more than SQLite, and a statement a row gives the interpreter's lock
    away and waits to have it back.
    """
    spoken = session.get_bind().dialect
    compiled = statement.compile(dialect=spoken, column_keys=list(rows[0]))
    order = [(name, table.c[name].type.dialect_impl(spoken).bind_processor(spoken)) for name in compiled.positiontup]
    one = f"({', '.join('?' * len(order))})"
    before, _, after = str(compiled).partition(one)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[start : start + ROWS_AT_ONCE]
        values = tuple(made(row[name]) if made else row[name] for row in part for name, made in order)
        session.connection().exec_driver_sql(before + ", ".join([one] * len(part)) + after, values)


class NumberList(TypeDecorator[Sequence[int]]):
    """Integers as one bound value: JSON for SQLite, an array for PostgreSQL.

    A statement then reads the same however many there are. Written out, each would be a statement of its own, and the
    libraries' caches of statements would hold hundreds of long ones (100 MB in four threads).
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> Any:
        numbers = [int(number) for number in value or ()]
        return json.dumps(numbers) if dialect.name == "sqlite" else numbers

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(ARRAY(BigInteger) if dialect.name == "postgresql" else Text())


class as_numbers(FunctionElement[int]):  # noqa: N801 - it reads as a function of SQL
    """The numbers of a NumberList, one row each."""

    inherit_cache = True
    name = "numbers"


NUMBERS = {
    "sqlite": "(SELECT value FROM json_each({values}))",
    "postgresql": "(SELECT unnest(CAST({values} AS bigint[])) AS value)",
}


@compiles(as_numbers)
def _compile_numbers(element: as_numbers, compiler: Any, **options: Any) -> str:
    return NUMBERS[compiler.dialect.name].format(values=compiler.process(element.clauses, **options))


def among(column: Any, values: Iterable[int] | str) -> ColumnElement[bool]:
    """Return the condition that a column is one of the numbers, or of those bound later by this name."""
    numbers = bindparam(values, type_=NumberList()) if isinstance(values, str) else number_list(None, values)
    condition: ColumnElement[bool] = column.op("IN", is_comparison=True)(as_numbers(numbers))
    return condition


def number_list(name: str | None, values: Iterable[int]) -> BindParameter[Any]:
    """Return the bound parameter for the numbers of `among_sql` with this name."""
    return bindparam(name, list(values), type_=NumberList())


def among_sql(session: Session, column: str, name: str) -> str:
    """Return the same condition as SQL text; its numbers are bound by `number_list`."""
    return f"{column} IN {NUMBERS[dialect(session)].format(values=':' + name)}"


def missing_numbers(session: Session, table: str, values: Iterable[int]) -> list[int]:
    """Return those of the numbers that are no id of a table."""
    given = NUMBERS[dialect(session)].format(values=":values")
    statement = f"SELECT value FROM {given} AS given WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE id = given.value)"
    return list(session.execute(text(statement).bindparams(number_list("values", values))).scalars())


def like_prefix(prefix: str) -> tuple[str, str]:
    """Return the half-open range of strings that start with `prefix`, for a column compared bytewise."""
    return prefix, prefix + "\U0010ffff"
