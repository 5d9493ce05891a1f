"""A model's embeddings as halfvec, in a table of their own.

The table is derived from `embedding`: missing and outdated rows are found by comparing the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from encoders.manifest import Manifest, load_means
from indexes.halfvec import halfvec_literals, halfvec_means, halfvec_rows, halfvec_width
from indexes.pgvector import table_state
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
