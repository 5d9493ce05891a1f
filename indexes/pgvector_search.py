"""The nearest windows by pgvector: its graph of halves, or all that pass a filter compared where those are few."""

from __future__ import annotations

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from indexes.filters import Filter
from indexes.halfvec import half_target, half_width, halves_written
from indexes.pgvector import half_index
from indexes.similarity import Meaning
from models import half_table
from utils.int8 import Floats, centred
from utils.language_means import MeanGroups
from utils.lru import Kept

# Below so many documents that pass, all are compared: a graph finds hardly any of them.
NARROW = 20_000
SEARCHED = 300  # places that the graph keeps in view (hnsw.ef_search)
KEPT_COUNTS = 64
SAMPLE = 500
# For this transaction alone. The first scan's order is nearly right, and what is found is rescored anyway; compiling a
# statement would take longer than running it. By the first, which others ignore, Citus tells its workers as well.
FOR_THIS = (
    "SET LOCAL citus.propagate_set_commands = 'local'; SET LOCAL hnsw.iterative_scan = 'relaxed_order';"
    " SET LOCAL hnsw.ef_search = {ef}; SET LOCAL jit = off"
)
LENGTHS = "SELECT vector FROM embedding WHERE model_id = :model ORDER BY document_id LIMIT :most"


class HalfIndex:
    """The halves of one model, in the database."""

    def __init__(self, model: int, groups: MeanGroups) -> None:
        self._model, self._groups, self._dim = model, groups, len(groups.centre)
        self._table, self._width = half_table(model), half_width(self._dim, len(groups.means))
        self.index = half_index(self._table)
        self._counts: Kept[int] = Kept(KEPT_COUNTS)
        self._length: float | None = None

    def nearest(
        self, session: Session, meaning: Meaning, restriction: Filter, most: int, version: int
    ) -> list[tuple[int, int]]:
        """Return at most `most` (document, window), nearest first by estimate."""
        values = {"target": self.target(session, meaning), "most": most, **restriction.values}
        if restriction and self._passing(session, restriction, version) < NARROW:
            return self._found(session, self.exact(restriction), values)
        session.execute(text(FOR_THIS.format(ef=SEARCHED)))
        found = self._found(session, self.graph(restriction), values)
        if restriction and len(found) < most:
            # Many pass, and yet few of them are where the query looks.
            return self._found(session, self.exact(restriction), values)
        return found

    def target(self, session: Session, meaning: Meaning) -> str:
        """Return what the rows are compared with, as pgvector reads it."""
        vector, offsets = meaning.asked_of_units(self._mean_length(session), self._groups)
        return halves_written([half_target(vector, offsets)])[0]

    def graph(self, restriction: Filter) -> str:
        return self._statement(restriction, "")

    def exact(self, restriction: Filter) -> str:
        """Return the statement that compares every row: no index knows how to order by a sum."""
        return self._statement(restriction, " + 0")

    def _statement(self, restriction: Filter, more: str) -> str:
        return (
            f'SELECT document_id, "window" FROM {self._table} WHERE true{restriction.sql("document_id")}'
            f" ORDER BY (half <-> CAST(:target AS halfvec({self._width}))){more} LIMIT :most"
        )

    def _found(self, session: Session, statement: str, values: dict[str, object]) -> list[tuple[int, int]]:
        return [(row[0], row[1]) for row in session.execute(text(statement), values)]

    def _passing(self, session: Session, restriction: Filter, version: int) -> int:
        """Return how many documents pass, counted up to NARROW; kept while nothing changes."""
        name = (version, restriction.key())
        count = self._counts.recall(name)
        return self._counts.keep(name, restriction.count(session, NARROW)) if count is None else count

    def _mean_length(self, session: Session) -> float:
        """Return the mean length of (x - mean of its group): of some, since keys are spread at random."""
        if self._length is None:
            stored = session.execute(text(LENGTHS), {"model": self._model, "most": SAMPLE}).scalars().all()
            rows: Floats = centred([bytes(one) for one in stored], self._dim)
            rows = self._groups.less_means(rows, self._groups.groups(rows))
            self._length = float(np.linalg.norm(rows, axis=1).mean()) if len(rows) else 1.0
        return self._length
