"""Writes a model's embeddings as halfvec into a table of their own, and builds its index while the site runs.

The table is derived from `embedding`: missing and outdated rows are found by comparing the two. An interrupted build
is started again by the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from encoders.manifest import Manifest, load_means
from indexes.pgvector import (
    extension,
    halfvec_index_name,
    halfvec_literals,
    halfvec_means,
    halfvec_rows,
    halfvec_width,
    table_state,
)
from indexes.version import bump
from models import half_table, model_number
from utils import citus
from utils.int8 import centred
from utils.language_means import LanguageMeans
from utils.sql import among_sql, number_list

ROWS_AT_ONCE = 500
# (document, window, the text's hash, the stored vector)
Row = tuple[int, int, bytes, bytes]

TABLE = """
CREATE TABLE IF NOT EXISTS {table} (
  document_id bigint NOT NULL, "window" smallint NOT NULL,
  content_hash bytea NOT NULL, half halfvec({width}) NOT NULL, PRIMARY KEY (document_id, "window"))
"""
SPREAD = "SELECT create_distributed_table('{table}', 'document_id', colocate_with => 'document')"
HANGS = "ALTER TABLE {table} ADD FOREIGN KEY (document_id) REFERENCES document (id) ON DELETE CASCADE"
MISSING = """
FROM embedding e WHERE e.model_id = :model AND NOT EXISTS (
  SELECT 1 FROM {table} v
  WHERE v.document_id = e.document_id AND v."window" = e."window" AND v.content_hash = e.content_hash)
"""
NEXT = f"""
SELECT e.document_id, e."window", e.content_hash, e.vector {MISSING} AND (e.document_id, e."window") > (:key, :part)
ORDER BY e.document_id, e."window" LIMIT :most
"""
STALE = """
DELETE FROM {table} v WHERE NOT EXISTS (
  SELECT 1 FROM embedding e WHERE e.document_id = v.document_id AND e.model_id = :model AND e."window" = v."window")
"""
WRITE = """
INSERT INTO {table} (document_id, "window", content_hash, half)
SELECT given.document, given.part, given.hash, CAST(given.half AS halfvec)
FROM unnest(CAST(:documents AS bigint[]), CAST(:parts AS smallint[]), :hashes, :halves)
  AS given(document, part, hash, half)
ON CONFLICT (document_id, "window") DO UPDATE SET content_hash = excluded.content_hash, half = excluded.half
"""


class HalfvecTable:
    """The halfvec rows of one model."""

    def __init__(self, manifest: Manifest) -> None:
        self.model = model_number(manifest.name, manifest.checksum)
        self.table, self.dim = half_table(self.model), manifest.dim
        self._groups = halfvec_means(LanguageMeans(load_means(manifest)[0]), bool(manifest.centred_weight))

    @property
    def width(self) -> int:
        return halfvec_width(self.dim, len(self._groups.means))

    def exists(self, session: Session) -> bool:
        """Whether the table exists."""
        return table_state(session, self.table) is not None

    def make(self, session: Session) -> None:
        """Create the table if needed, on the same servers as the documents."""
        if not self.exists(session):
            session.execute(text(TABLE.format(table=self.table, width=self.width)))
            if citus.is_spread(session):
                session.execute(text(SPREAD.format(table=self.table)))
            session.execute(text(HANGS.format(table=self.table)))
        session.commit()

    def missing(self, session: Session) -> int:
        """Return the number of embeddings without a current halfvec."""
        counted = f"SELECT count(*) {MISSING.format(table=self.table)}"
        return int(session.execute(text(counted), {"model": self.model}).scalar_one())

    def fill(self, session: Session, on_rows: Callable[[int], object] = lambda _: None) -> int:
        """Write missing rows, delete stale ones, and return the number written; commits as it goes."""
        done, after = 0, (-1, -1)
        while rows := self._next(session, after):
            try:
                self.write(session, rows)
                session.commit()
            except IntegrityError:  # a document was deleted meanwhile: read again
                session.rollback()
                continue
            after = rows[-1][:2]
            done += len(rows)
            on_rows(len(rows))
        stale = session.execute(text(STALE.format(table=self.table)), {"model": self.model})
        if done or stale.rowcount:  # type: ignore[attr-defined]
            bump(session)  # searches re-evaluate which index to use
        session.commit()
        return done

    def _next(self, session: Session, after: tuple[int, int]) -> list[Row]:
        values = {"model": self.model, "key": after[0], "part": after[1], "most": ROWS_AT_ONCE}
        rows = session.execute(text(NEXT.format(table=self.table)), values)
        return [(row[0], row[1], bytes(row[2]), bytes(row[3])) for row in rows]

    def replace(self, session: Session, documents: Sequence[int], rows: Sequence[Row]) -> None:
        """Replace all rows of documents, whose number of chunks may have shrunk."""
        gone = text(f"DELETE FROM {self.table} WHERE {among_sql(session, 'document_id', 'documents')}")
        session.execute(gone.bindparams(number_list("documents", documents)))
        if rows:
            self.write(session, rows)

    def write(self, session: Session, rows: Sequence[Row]) -> None:
        """Write rows in key order, so that concurrent writers cannot deadlock."""
        in_order = sorted(rows)
        stored = centred([row[3] for row in in_order], self.dim)
        groups = self._groups.groups(stored)
        halves = halfvec_rows(self._groups.less_means(stored, groups), groups, len(self._groups.means))
        statement = text(WRITE.format(table=self.table)).bindparams(
            number_list("documents", [row[0] for row in in_order]),
            number_list("parts", [row[1] for row in in_order]),
            bindparam("hashes", [row[2] for row in in_order], type_=ARRAY(BYTEA)),
            bindparam("halves", halfvec_literals(halves), type_=ARRAY(Text)),
        )
        session.execute(statement)


def drop_halfvec_table(session: Session, model: int) -> bool:
    """Drop a model's table, if it exists; searches notice by the version. Commits."""
    if table_state(session, half_table(model)) is None:
        return False
    bump(session)
    session.execute(text(f"DROP TABLE {half_table(model)}"))
    session.commit()
    return True


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
