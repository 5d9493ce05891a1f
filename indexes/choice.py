"""Chooses between the in-memory index and pgvector, and says why."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from indexes.pgvector import HalfvecTableState, extension, table_state
from models import half_table
from utils.bit_rows import BitRows
from utils.sql import dialect

Wanted = Literal["auto", "memory", "pgvector"]
Served = Literal["memory", "pgvector"]
# For pgvector: set, larger. For memory: all others; unasked until the first semantic search.
Reason = Literal[
    "unasked", "not_postgresql", "set", "fits", "larger", "no_extension", "old_extension", "not_built", "incomplete"
]
BETWEEN_LOOKS_S = 30.0  # while documents are written: checking 100,000 rows takes 0.1 s
log = logging.getLogger("matmon.search")

COUNT = "SELECT count(*) FROM embedding WHERE model_id = :model"
# By keys alone, which both tables' indexes cover: the rows are a gigabyte per million. A halfvec of an outdated text
# may be among them and cost that text its rank; re-ranking uses the current text anyway.
MISSING = """
SELECT EXISTS (SELECT 1 FROM embedding e WHERE e.model_id = :model AND NOT EXISTS (
  SELECT 1 FROM {table} v WHERE v.document_id = e.document_id AND v."window" = e."window"))
"""
CHANGED = """
SELECT EXISTS (SELECT 1 FROM embedding e WHERE e.model_id = :model AND NOT EXISTS (
  SELECT 1 FROM {table} v
  WHERE v.document_id = e.document_id AND v."window" = e."window" AND v.content_hash = e.content_hash)
AND e.document_id IN (SELECT document_id FROM change WHERE version > :seen))
"""


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """The operator's choice, how many bytes of embeddings `auto` holds in memory, and the folder of the mapped file."""

    wanted: Wanted = "auto"
    most_bytes: int = 32 * 2**20
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Serving:
    """The index in use and why; rows and bytes of embeddings, in the database for pgvector. None: unknown."""

    wanted: Wanted
    serves: Served | None = None
    why: Reason = "unasked"
    rows: int | None = None
    nbytes: int | None = None

    @property
    def is_refused(self) -> bool:
        """Whether pgvector was required but is not in use."""
        return (self.wanted, self.serves) == ("pgvector", "memory")

    def figures(self) -> dict[str, str | int | None]:
        return {"wanted": self.wanted, "serves": self.serves, "why": self.why, "rows": self.rows, "bytes": self.nbytes}


def version_of(session: Session) -> int:
    """Return the data version, which grows with every committed change."""
    return int(session.execute(text("SELECT version FROM state WHERE id = 1")).scalar_one())


class IndexChoice:
    """The choice for one model, re-evaluated when the database changes; thread-safe."""

    def __init__(self, model: int, dim: int, vector_index: VectorIndex) -> None:
        self._model, self._dim, self._setting = model, dim, vector_index
        self._table = half_table(model)
        self._lock = threading.Lock()
        self._version, self._looked_s = -1, 0.0
        self.serving = Serving(vector_index.wanted)

    def is_pgvector(self, session: Session, version: int) -> bool:
        """Whether pgvector is in use at this data version; queries the database only if the version changed."""
        with self._lock:
            if version != self._version and not (self._setting.wanted == "memory" and self.serving.serves):
                self._changed(session, version)
            return self.serving.serves == "pgvector"

    def lost(self) -> None:
        """Fall back to memory: the table was dropped during a search."""
        with self._lock:
            self._serve("memory", "not_built", self.serving.rows)
            self._version = -1

    def _changed(self, session: Session, version: int) -> None:
        if time.monotonic() - self._looked_s >= BETWEEN_LOOKS_S or self.serving.serves is None:
            self._look(session)
            self._version, self._looked_s = version, time.monotonic()
        elif self.serving.serves == "pgvector":
            if self._lacks_changes(session):
                self._serve("memory", "incomplete", self.serving.rows)
            self._version = version

    def _look(self, session: Session) -> None:
        setting = self._setting
        if dialect(session) != "postgresql":
            return self._serve("memory", "not_postgresql")
        if setting.wanted == "memory":
            return self._serve("memory", "set")
        rows = int(session.execute(text(COUNT), {"model": self._model}).scalar_one())
        if setting.wanted == "auto" and rows * BitRows.compared_bytes(self._dim) <= setting.most_bytes:
            return self._serve("memory", "fits", rows)
        table = table_state(session, self._table)
        if reason := self._hindrance(session, table):
            return self._serve("memory", reason, rows)
        why: Reason = "set" if setting.wanted == "pgvector" else "larger"
        return self._serve("pgvector", why, rows, table.nbytes if table else None)

    def _hindrance(self, session: Session, table: HalfvecTableState | None) -> Reason | None:
        state = extension(session)
        if state in ("no_extension", "old_extension"):
            return state
        if state == "not_made" or table is None or not table.is_indexed:
            return "not_built"
        missing = session.execute(text(MISSING.format(table=self._table)), {"model": self._model}).scalar_one()
        return "incomplete" if missing else None

    def _lacks_changes(self, session: Session) -> bool:
        if table_state(session, self._table) is None:
            return True
        statement = text(CHANGED.format(table=self._table))
        return bool(session.execute(statement, {"model": self._model, "seen": self._version}).scalar_one())

    def _serve(self, serves: Served, why: Reason, rows: int | None = None, nbytes: int | None = None) -> None:
        before, self.serving = self.serving, Serving(self._setting.wanted, serves, why, rows, nbytes)
        if (before.serves, before.why) == (serves, why):
            return
        say = log.warning if self.serving.is_refused else log.info
        say("VECTOR_INDEX=%s: the index of embeddings is %s (%s)%s", self._setting.wanted, serves, why,
            "; what to do: flask --app app vectors" if self.serving.is_refused else "")  # fmt: skip
