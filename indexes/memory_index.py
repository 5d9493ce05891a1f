"""The index of one table's embeddings, loaded on first use and kept up to date with the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from indexes.embedding_segments import PackedGone, packed_state
from indexes.embedding_space import EXACT_ROWS, EmbeddingSource, EmbeddingSpace, StoredRow
from indexes.mapped_index import MappedIndex, loaded_index
from models import KEPT_CHANGES
from utils.bit_index import BitIndex
from utils.bit_rows import Floats, Places, SearchTarget
from utils.exact_index import ExactIndex

ATTEMPTS = 3  # to read segments that another process merges meanwhile
MOST_FOLLOWED = 2_000  # changed documents, or a twentieth, for which it is not worth loading everything again
MANY_ROWS = 1_000_000  # among more, the nearest lie so close together that twice as many are compared
DOCUMENTS_AT_ONCE = 200
CHANGED = "SELECT DISTINCT document_id FROM change WHERE version > :seen"


class LiveIndex:
    """An index that is loaded on first use and catches up with changes before each use; thread-safe.

    It consists of packed embeddings in a mapped file, if there are any, and of rows read one by one: those that are not
    packed, or changed since. Few rows are compared exactly.
    """

    def __init__(self, source: EmbeddingSource, space: EmbeddingSpace, folder: Path | None = None) -> None:
        self._source, self._space, self._folder = source, space, folder
        self._lock = threading.Lock()
        self._mapped: MappedIndex | None = None
        self._rows: BitIndex | ExactIndex | None = None
        self._version = -1
        self.loaded_s: float | None = None

    @property
    def size(self) -> int:
        return sum(part.size for part in (self._mapped, self._rows) if part)

    @property
    def nbytes(self) -> int:
        """Return the bytes in use, those of a mapped file included."""
        return sum(part.nbytes for part in (self._mapped, self._rows) if part)

    @property
    def mapped_bytes(self) -> int:
        """Return the bytes of the mapped file."""
        mapped = self._mapped
        return mapped.nbytes if mapped and mapped.path else 0

    def release(self) -> None:
        """Free the rows: another index is in use."""
        if self._rows is not None:
            with self._lock:
                self._mapped = self._rows = None
                self._version = -1

    def nearest(
        self,
        session: Session,
        version: int,
        target: SearchTarget,
        first: int,
        then: int,
        among: Callable[[], Sequence[int] | NDArray[np.int64] | None] = lambda: None,
    ) -> list[tuple[int, int]]:
        """Return at most `then` (key, part), best first by estimate, or twice as many out of very many rows.

        `among` returns the keys to search. Catches up with the data `version` first.
        """
        keys = among()
        wanted = None if keys is None else np.unique(np.asarray(keys, np.int64))
        with self._lock:
            self._catch_up(session, version)
            depth = 2 if self.size > MANY_ROWS else 1
            return self._nearest(target, first * depth, then * depth, wanted)

    def near_each(
        self, session: Session, version: int, vectors: Sequence[Floats], first: int, then: int
    ) -> list[list[int]]:
        """Return for each vector at most `then` nearest keys; the number of statements is fixed."""
        with self._lock:
            self._catch_up(session, version)
            return [
                [key for key, _ in self._nearest(SearchTarget.plain(vector), first, then, None)] for vector in vectors
            ]

    def _nearest(self, target: SearchTarget, first: int, then: int, keys: Places | None) -> list[tuple[int, int]]:
        rows, mapped = self._rows, self._mapped
        assert rows is not None  # noqa: S101 - loaded
        if mapped is None:
            return [pair for _, pair in self._nearest_rows(rows, target, first, then, keys)]
        among = None if keys is None else mapped.places(keys)
        places, estimates = mapped.nearest(target, self._space.query_mean, first, then, among)
        pairs = mapped.pairs(places)
        if not rows.size:
            return pairs
        changed = self._nearest_rows(rows, target, first, then, keys, mapped.mean_norm)
        both = [*zip(estimates.tolist(), pairs, strict=True), *changed]
        return [pair for _, pair in sorted(both, key=lambda each: -each[0])[:then]]

    @staticmethod
    def _nearest_rows(
        rows: BitIndex | ExactIndex,
        target: SearchTarget,
        first: int,
        then: int,
        keys: Places | None,
        length: float | None = None,
    ) -> list[tuple[float, tuple[int, int]]]:
        """Return the (estimate, (key, part)) of rows that were read one by one; `length` is the mean one of all."""
        among = None if keys is None else rows.places(keys)
        if isinstance(rows, ExactIndex):
            places, estimates = rows.nearest(target, then, among)
        else:
            places, estimates = rows.nearest(target, first, then, among, length)
        pairs = zip(rows.keys[places].tolist(), rows.parts[places].tolist(), strict=True)
        return list(zip(estimates.tolist(), pairs, strict=True))

    def _catch_up(self, session: Session, version: int) -> None:
        if self._rows is None:
            self._load(session, version)
        elif version != self._version:
            self._follow(session, version)

    def _load(self, session: Session, version: int) -> None:
        began = time.monotonic()
        for attempt in range(ATTEMPTS):
            try:
                if not self._load_packed(session, version):
                    self._load_rows(session, version)
                break
            except PackedGone:
                if attempt == ATTEMPTS - 1:
                    self._load_rows(session, version)
        self.loaded_s = time.monotonic() - began

    def _load_packed(self, session: Session, version: int) -> bool:
        """Load what is packed and apply the changes since; False if that is not possible, or not needed."""
        source, space = self._source, self._space
        if not source.follows_changes or source.count(session, space.model, EXACT_ROWS + 1) <= EXACT_ROWS:
            return False
        packed = packed_state(session, space)
        if packed is None or packed.packed_to is not None or version - packed.version >= KEPT_CHANGES:
            return False

        def is_current(of_file: int) -> bool:
            if of_file > packed.version:  # the database is an older copy of itself
                return False
            changed = self._changed(session, of_file, version)
            return of_file == packed.version or (changed is not None and len(changed) <= MOST_FOLLOWED)

        mapped = loaded_index(session, self._folder, space, packed, is_current)
        self._mapped, self._rows = mapped, BitIndex(space.means.centre, space.query_mean)
        self._apply(session, self._changed(session, mapped.header.version, version) or [])
        self._version = version
        return True

    def _load_rows(self, session: Session, version: int) -> None:
        source, space = self._source, self._space
        count = source.count(session, space.model)
        is_exact = source.follows_changes and count <= EXACT_ROWS
        self._mapped, self._rows = None, None
        rows = ExactIndex(space.means, count) if is_exact else BitIndex(space.means.centre, space.query_mean, count)
        for page in source.pages(session, space.model):
            self._append(rows, page)
        self._rows, self._version = rows, version

    def _follow(self, session: Session, version: int) -> None:
        """Apply the changes since the current version, or load everything if that is less work."""
        if not self._source.follows_changes:
            if self._source.count(session, self._space.model) == self.size:
                self._version = version  # a tag's key is derived from its name, so it never changes
            else:
                self._load(session, version)
            return
        changed = self._changed(session, self._version, version)
        if changed is None or self._is_outgrown(session, len(changed)):
            self._load(session, version)
            return
        self._apply(session, changed)
        self._version = version

    def _is_outgrown(self, session: Session, count: int) -> bool:
        """Whether to load everything rather than apply so many changes."""
        rows, mapped = self._rows, self._mapped
        if isinstance(rows, ExactIndex):
            return rows.size > EXACT_ROWS
        assert rows is not None  # noqa: S101 - loaded
        if mapped is not None:
            followed = count + len(np.unique(rows.keys[: rows.size]))
            most = max(MOST_FOLLOWED, mapped.header.documents // 20)
            return followed > most and self._is_packed_after(session, mapped.header.version)
        return count > max(MOST_FOLLOWED, rows.size // 5) or self._is_packed_after(session, -1)

    def _is_packed_after(self, session: Session, version: int) -> bool:
        packed = packed_state(session, self._space)
        return packed is not None and packed.packed_to is None and packed.version > version

    def _changed(self, session: Session, seen: int, version: int) -> list[int] | None:
        """Return the documents that changed after `seen`; None if that is no longer known."""
        if version - seen >= KEPT_CHANGES:
            return None
        return list(session.execute(text(CHANGED), {"seen": seen}).scalars())

    def _apply(self, session: Session, changed: Sequence[int]) -> None:
        rows = self._rows
        assert rows is not None  # noqa: S101 - loaded
        if self._mapped is not None:
            self._mapped.remove(np.array(changed, np.int64))
        for start in range(0, len(changed), DOCUMENTS_AT_ONCE):
            keys = changed[start : start + DOCUMENTS_AT_ONCE]
            rows.remove(np.array(keys, np.int64))
            self._append(rows, self._source.rows(session, self._space.model, keys))

    def _append(self, rows: BitIndex | ExactIndex, stored: Sequence[StoredRow]) -> None:
        if not stored:
            return
        keys, parts, vectors = zip(*stored, strict=True)
        places = np.array(keys, np.int64), np.array(parts, np.int16)
        if isinstance(rows, ExactIndex):
            rows.append(*places, vectors)
        else:
            rows.append_bits(*places, self._space.bit_rows(vectors))
