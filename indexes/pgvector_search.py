"""Nearest chunks with pgvector: by its HNSW graph, or an exact scan if few documents pass the filter."""

from __future__ import annotations

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from indexes.filters import Filter
from indexes.halfvec import halfvec_literals, halfvec_target, halfvec_width
from indexes.pgvector import halfvec_index_name
from indexes.similarity import QueryVector
from models import half_table
from utils.int8 import Floats, centred
from utils.language_means import LanguageMeans
from utils.lru import LRUCache

# If fewer documents pass, all are compared: the graph would find hardly any of them.
NARROW = 20_000
SEARCHED = 300  # candidates that the graph search keeps (hnsw.ef_search)
KEPT_COUNTS = 64
SAMPLE = 500
# For this transaction alone. The first scan's order is nearly right, and what is found is rescored anyway; compiling a
# statement would take longer than running it. By the first, which others ignore, Citus tells its workers as well.
FOR_THIS = (
    "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL hnsw.iterative_scan = 'relaxed_order';"
    " SET LOCAL hnsw.ef_search = {ef}; SET LOCAL jit = off"
)
LENGTHS = "SELECT vector FROM embedding WHERE model_id = :model ORDER BY document_id LIMIT :most"


class HalfvecIndex:
    """The halfvec index of one model, in the database."""

    def __init__(self, model: int, groups: LanguageMeans) -> None:
        self._model, self._groups, self._dim = model, groups, len(groups.centre)
        self._table, self._width = half_table(model), halfvec_width(self._dim, len(groups.means))
        self.index = halfvec_index_name(self._table)
        self._counts: LRUCache[int] = LRUCache(KEPT_COUNTS)
        self._length: float | None = None

    def nearest(
        self, session: Session, query_vector: QueryVector, restriction: Filter, most: int, version: int
    ) -> list[tuple[int, int]]:
        """Return at most `most` (document, window), nearest first by estimate."""
        values = {"target": self.target(session, query_vector), "most": most, **restriction.values}
        if restriction and self._passing(session, restriction, version) < NARROW:
            return self._rows(session, self.exact(restriction), values)
        session.execute(text(FOR_THIS.format(ef=SEARCHED)))
        rows = self._rows(session, self.graph(restriction), values)
        if restriction and len(rows) < most:
            # Many documents pass the filter, but few near the query.
            return self._rows(session, self.exact(restriction), values)
        return rows

    def target(self, session: Session, query_vector: QueryVector) -> str:
        """Return the target of the search as a pgvector literal."""
        vector, offsets = query_vector.unit_targets(self._mean_length(session), self._groups)
        return halfvec_literals([halfvec_target(vector, offsets)])[0]

    def graph(self, restriction: Filter) -> str:
        return self._statement(restriction, "")

    def exact(self, restriction: Filter) -> str:
        """Return the statement that compares every row: no index orders by a sum."""
        return self._statement(restriction, " + 0")

    def _statement(self, restriction: Filter, more: str) -> str:
        return (
            f'SELECT document_id, "window" FROM {self._table} WHERE true{restriction.sql("document_id")}'
            f" ORDER BY (half <-> CAST(:target AS halfvec({self._width}))){more} LIMIT :most"
        )

    def _rows(self, session: Session, statement: str, values: dict[str, object]) -> list[tuple[int, int]]:
        return [(row[0], row[1]) for row in session.execute(text(statement), values)]

    def _passing(self, session: Session, restriction: Filter, version: int) -> int:
        """Return how many documents pass, counted up to NARROW; cached until the data changes."""
        name = (version, restriction.key())
        count = self._counts.get(name)
        return self._counts.set(name, restriction.count(session, NARROW)) if count is None else count

    def _mean_length(self, session: Session) -> float:
        """Return the mean length of (x - mean of its group), from a sample: keys are random."""
        if self._length is None:
            stored = session.execute(text(LENGTHS), {"model": self._model, "most": SAMPLE}).scalars().all()
            rows: Floats = centred([bytes(vector) for vector in stored], self._dim)
            rows = self._groups.less_means(rows, self._groups.groups(rows))
            self._length = float(np.linalg.norm(rows, axis=1).mean()) if len(rows) else 1.0
        return self._length
