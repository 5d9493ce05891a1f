"""The index of halves, built while the site goes on; a build that was killed is begun anew by the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from indexes.pgvector import extension, half_index, table_state
from indexes.pgvector_table import Halves
from indexes.version import bump

LOOK_S = 0.5
GONE_MS = 2_000  # a server that works on for a builder who is gone notices within so long
PROGRESS = "SELECT phase, tuples_done, tuples_total FROM pg_stat_progress_create_index WHERE pid = :pid"
REFUSALS = {
    "not_postgresql": "The database is SQLite: the index is in memory, and there is nothing to build",
    "no_extension": "This PostgreSQL has no pgvector: install it there, or set VECTOR_INDEX=memory",
    "old_extension": "pgvector is older than 0.8: update it, then run in the database: ALTER EXTENSION vector UPDATE",
}


class CannotBuild(ValueError):
    """The index cannot be built; the message says why, and what to do."""


def make_extension(session: Session) -> None:
    """Make sure that the extension is in the database; raises CannotBuild."""
    found = extension(session)
    if found in REFUSALS:
        raise CannotBuild(REFUSALS[found])
    try:
        session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
        session.commit()
    except DBAPIError as error:
        session.rollback()
        said = str(error.orig).strip()
        raise CannotBuild(
            f"The database's owner must run in it, once: CREATE EXTENSION vector (refused to this user: {said})"
        ) from error


@contextmanager
def building(engine: Engine, model: int, memory_mb: int) -> Iterator[Connection]:
    """Give a connection for the build, held by one builder at a time; raises CannotBuild where another builds."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # with its settings it is of no use to others
        if not connection.execute(text("SELECT pg_try_advisory_lock(:model)"), {"model": model}).scalar_one():
            raise CannotBuild("The index is being built already: look at it with: flask --app app vectors")
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text(f"SET maintenance_work_mem = '{memory_mb}MB'"))
        if connection.dialect.server_version_info >= (14,):  # type: ignore[operator]
            connection.execute(text(f"SET client_connection_check_interval = {GONE_MS}"))
        yield connection


def build_index(
    connection: Connection, session: Session, halves: Halves, on_progress: Callable[[str, int, int], object]
) -> bool:
    """Build the index if there is none that is whole, and tell whether it was built; says phase, rows done, rows."""
    state = table_state(session, halves.table)
    session.rollback()  # CONCURRENTLY waits for every transaction that is older than it
    if state and state.is_indexed:
        return False
    name = half_index(halves.table)
    connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))  # what a killed build left
    made = f"CREATE INDEX CONCURRENTLY {name} ON {halves.table} USING hnsw (half halfvec_l2_ops)"
    _followed(connection, session, made, on_progress)
    connection.execute(text(f"ANALYZE {halves.table}"))
    bump(session)
    session.commit()
    return True


def _followed(
    connection: Connection, session: Session, statement: str, on_progress: Callable[[str, int, int], object]
) -> None:
    """Run a statement in a thread and tell how far it is; raises what it raised."""
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
