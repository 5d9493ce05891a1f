"""A BitIndex of one table's embeddings in memory, kept up to date with the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import KEPT_CHANGES
from utils.bit_index import BitIndex
from utils.int8 import Floats, centred
from utils.language_means import LanguageMeans
from utils.sql import among_sql, number_list

PAGE = 1_000
AT_ONCE = 200  # rows quantized at once: their floats stay in the processor's cache
DOCUMENTS = 'SELECT document_id, "window", vector FROM embedding WHERE model_id = :model'
TAGS = (
    "SELECT tag_id, 0, vector FROM tag_embedding WHERE model_id = :model"
    " AND EXISTS (SELECT 1 FROM tag_count WHERE tag_count.tag_id = tag_embedding.tag_id)"
)


@dataclass(frozen=True, slots=True)
class EmbeddingSource:
    """Where embeddings of one kind are stored: a statement of (key, part, vector), and its key column."""

    statement: str
    key: str
    part: str
    follows_changes: bool

    def page(self, session: Session, model: int, after: tuple[int, int]) -> Sequence[tuple[int, int, bytes]]:
        # Paged by key, not by cursor: no transaction outlives a page, and memory holds one page.
        statement = f"{self.statement} AND ({self.key}, {self.part}) > (:key, :part) ORDER BY {self.order} LIMIT :page"
        values = {"model": model, "key": after[0], "part": after[1], "page": PAGE}
        return [(row[0], row[1], bytes(row[2])) for row in session.execute(text(statement), values)]

    @property
    def order(self) -> str:
        return f"{self.key}, {self.part}" if self.part != "0" else self.key

    def rows(self, session: Session, model: int, keys: Sequence[int]) -> list[tuple[int, int, bytes]]:
        statement = text(f"{self.statement} AND {among_sql(session, self.key, 'keys')}")
        rows = session.execute(statement.bindparams(number_list("keys", keys)), {"model": model})
        return [(row[0], row[1], bytes(row[2])) for row in rows]


DOCUMENT_SOURCE = EmbeddingSource(DOCUMENTS, "document_id", '"window"', follows_changes=True)
TAG_SOURCE = EmbeddingSource(TAGS, "tag_id", "0", follows_changes=False)


class LiveIndex:
    """A BitIndex loaded on first use, which catches up with changes before each use; thread-safe."""

    def __init__(self, source: EmbeddingSource, model: int, groups: LanguageMeans, query_mean: Floats) -> None:
        self._source, self._model = source, model
        self._groups, self._query_mean = groups, query_mean
        self._lock = threading.Lock()
        self._index: BitIndex | None = None
        self._version = -1
        self.loaded_s: float | None = None

    @property
    def size(self) -> int:
        return self._index.size if self._index else 0

    @property
    def nbytes(self) -> int:
        return self._index.nbytes if self._index else 0

    def release(self) -> None:
        """Free the rows: another index is in use."""
        if self._index is not None:
            with self._lock:
                self._index, self._version = None, -1

    def nearest(
        self,
        session: Session,
        version: int,
        targets: Callable[[float], tuple[Floats, Floats]],
        first: int,
        then: int,
        among: Callable[[], Sequence[int] | NDArray[np.int64] | None] = lambda: None,
    ) -> list[tuple[int, int]]:
        """Return at most `then` (key, part), best first by estimate; `among` returns the keys to search.

        Catches up with the data `version` first. `targets` takes the rows' mean length, and returns the query's vector
        and an offset for each group.
        """
        keys = among()
        with self._lock:
            index = self._current(session, version)
            places = None if keys is None else index.places(np.asarray(keys, np.int64))
            vector, offsets = targets(index.mean_norm)
            places_found = index.nearest(vector, first, then, places, offsets)
            keys, parts = index.keys[places_found].tolist(), index.parts[places_found].tolist()
            return list(zip(keys, parts, strict=True))

    def near_each(
        self, session: Session, version: int, vectors: Sequence[Floats], first: int, then: int
    ) -> list[list[int]]:
        """Return for each vector at most `then` nearest keys; the number of statements is fixed."""
        with self._lock:
            index = self._current(session, version)
            offsets = np.zeros(1, np.float32)
            return [index.keys[index.nearest(vector, first, then, None, offsets)].tolist() for vector in vectors]

    def _current(self, session: Session, version: int) -> BitIndex:
        if self._index is None:
            self._load(session, version)
        elif version != self._version:
            self._follow(session, version)
        assert self._index is not None  # noqa: S101 - just loaded
        return self._index

    def _load(self, session: Session, version: int) -> None:
        began = time.monotonic()
        index = BitIndex(self._groups.centre, self._query_mean, capacity=self._count(session))
        for page in self._pages(session):
            self._append(index, page)
        self._index, self._version = index, version
        self.loaded_s = time.monotonic() - began

    def _count(self, session: Session) -> int:
        counted = f"SELECT count(*) FROM ({self._source.statement}) counted"
        return int(session.execute(text(counted), {"model": self._model}).scalar_one())

    def _pages(self, session: Session) -> Iterator[Sequence[tuple[int, int, bytes]]]:
        after = (-1, -1)
        while page := self._source.page(session, self._model, after):
            yield page
            after = page[-1][0], page[-1][1]

    def _follow(self, session: Session, version: int) -> None:
        """Apply the changes since the current version; reload everything if the log does not reach back far enough."""
        if not self._source.follows_changes and self._count(session) == self.size:
            self._version = version  # a tag's key is derived from its name, so it never changes
            return
        changed = self._changed(session, version) if self._source.follows_changes else None
        if changed is None or len(changed) > max(2_000, self.size // 5):
            self._load(session, version)
            return
        assert self._index is not None  # noqa: S101
        for start in range(0, len(changed), 200):
            keys = changed[start : start + 200]
            self._index.remove(np.array(keys, np.int64))
            self._append(self._index, self._source.rows(session, self._model, keys))
        self._version = version

    def _changed(self, session: Session, version: int) -> list[int] | None:
        if version - self._version >= KEPT_CHANGES:
            return None
        statement = "SELECT DISTINCT document_id FROM change WHERE version > :seen"
        return list(session.execute(text(statement), {"seen": self._version}).scalars())

    def _append(self, index: BitIndex, rows: Sequence[tuple[int, int, bytes]]) -> None:
        for start in range(0, len(rows), AT_ONCE):
            self._append_few(index, rows[start : start + AT_ONCE])

    def _append_few(self, index: BitIndex, rows: Sequence[tuple[int, int, bytes]]) -> None:
        keys, parts, vectors = zip(*rows, strict=True)
        stored = centred(vectors, index.dim)
        groups = self._groups.groups(stored)
        less_means = self._groups.less_means(stored, groups)
        index.append(np.array(keys, np.int64), np.array(parts, np.int16), less_means, groups)
