"""Builds the halfvec index while the site runs; an interrupted build is started again by the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from indexes.pgvector import extension, halfvec_index_name, table_state
from indexes.pgvector_table import HalfvecTable
from indexes.version import bump

LOOK_S = 0.5
GONE_MS = 2_000  # the server notices a lost client within this time
PROGRESS = "SELECT phase, tuples_done, tuples_total FROM pg_stat_progress_create_index WHERE pid = :pid"
REFUSALS = {
    "not_postgresql": "The database is SQLite: the index is in memory, and there is nothing to build",
    "no_extension": "This PostgreSQL has no pgvector: install it there, or set VECTOR_INDEX=memory",
    "old_extension": "pgvector is older than 0.8: update it, then run in the database: ALTER EXTENSION vector UPDATE",
}


class CannotBuild(ValueError):
    """The index cannot be built; the message says why, and what to do."""


def make_extension(session: Session) -> None:
    """Create the extension if needed; raises CannotBuild."""
    state = extension(session)
    if state in REFUSALS:
        raise CannotBuild(REFUSALS[state])
    try:
        session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        session.commit()
    except DBAPIError as error:
        session.rollback()
        reason = str(error.orig).strip()
        raise CannotBuild(
            f"The database's owner must run in it, once: CREATE EXTENSION vector (refused to this user: {reason})"
        ) from error


@contextmanager
def building(engine: Engine, model: int, memory_mb: int) -> Iterator[Connection]:
    """Open a connection for the build under a lock; raises CannotBuild if another build is running."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # its settings make it useless for the pool
        if not connection.execute(text("SELECT pg_try_advisory_lock(:model)"), {"model": model}).scalar_one():
            raise CannotBuild("The index is being built already: look at it with: flask --app app vectors")
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text(f"SET maintenance_work_mem = '{memory_mb}MB'"))
        if connection.dialect.server_version_info >= (14,):  # type: ignore[operator]
            connection.execute(text(f"SET client_connection_check_interval = {GONE_MS}"))
        yield connection


def build_index(
    connection: Connection, session: Session, halves: HalfvecTable, on_progress: Callable[[str, int, int], object]
) -> bool:
    """Build the index unless it is complete; return whether it was built. Reports (phase, rows done, rows)."""
    state = table_state(session, halves.table)
    session.rollback()  # CONCURRENTLY waits for all older transactions
    if state and state.is_indexed:
        return False
    name = halfvec_index_name(halves.table)
    connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))  # left by an interrupted build
    statement = f"CREATE INDEX CONCURRENTLY {name} ON {halves.table} USING hnsw (half halfvec_l2_ops)"
    _followed(connection, session, statement, on_progress)
    connection.execute(text(f"ANALYZE {halves.table}"))
    bump(session)
    session.commit()
    return True


def _followed(
    connection: Connection, session: Session, statement: str, on_progress: Callable[[str, int, int], object]
) -> None:
    """Run a statement in a thread and report its progress; raises what it raised."""
    pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    failed: list[SQLAlchemyError] = []

    def run() -> None:
        try:
            connection.execute(text(statement))
        except SQLAlchemyError as error:
            failed.append(error)

    working = threading.Thread(target=run, name="vectors-build", daemon=True)
    working.start()
    while working.is_alive():
        working.join(LOOK_S)
        if (seen := session.execute(text(PROGRESS), {"pid": pid}).one_or_none()) is not None:
            on_progress(*seen)
        session.rollback()
    if failed:
        raise failed[0]
