"""BM25 over packed term counts: the same figures from any database that can keep bytes.

Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

K1, B = 1.2, 0.75
AT_ONCE = 250  # documents scored at once: 2,000 took 12 MB of temporary arrays
PACKED = np.dtype([("term", "<u4"), ("count", "u1")])


def term_id(field: str, term: str) -> int:
    """Return a 32-bit number for a term of a field; a collision only merges two document frequencies."""
    return crc32(f"{field}:{term}".encode())


def pack(counts: Mapping[int, int]) -> bytes:
    """Return `{term number: count}` as five bytes per term; counts are capped at 255."""
    return pack_columns(list(counts.keys()), list(counts.values()))


def pack_columns(numbers: ArrayLike, counts: ArrayLike) -> bytes:
    """Return the same for parallel term numbers and counts."""
    packed = np.empty(np.shape(numbers), PACKED)
    packed["term"] = numbers
    packed["count"] = np.minimum(counts, 255)
    return packed.tobytes()


def packed_terms(packed: Sequence[bytes]) -> NDArray[np.uint32]:
    """Return the concatenated term numbers of several packed documents."""
    terms: NDArray[np.uint32] = np.frombuffer(b"".join(packed), PACKED)["term"]
    return terms


def unpack(packed: bytes) -> dict[int, int]:
    """Invert `pack`."""
    read = np.frombuffer(packed, PACKED)
    return dict(zip(read["term"].tolist(), read["count"].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Field:
    """How one field of the documents is counted: its weight in the score and its mean length in terms.

    What matches in a bonus field adds to a score, and what does not takes nothing from it.
    """

    weight: float
    mean_length: float
    is_bonus: bool = False


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """A term of the query: its number, its field (by index) and its document frequency."""

    id: int
    field: int
    documents: int


class BM25:
    """Scores of packed documents for one query; `bound` is an upper bound of the score."""

    def __init__(self, terms: Iterable[QueryTerm], fields: Sequence[Field], documents: int) -> None:
        ordered = sorted({term.id: term for term in terms}.values(), key=lambda term: term.id)
        self._ids = np.array([term.id for term in ordered], "<u4")
        self._fields = np.array([term.field for term in ordered], np.int64)
        weights = [fields[t.field].weight * idf(t.documents, documents) * (K1 + 1) for t in ordered]
        self._weights = np.array(weights, np.float64)
        self._means = np.array([max(field.mean_length, 1e-9) for field in fields])
        self._seen = np.zeros(65_536, bool)
        self._seen[self._ids & 0xFFFF] = True
        self.bound = float(sum(w for w, t in zip(weights, ordered, strict=True) if not fields[t.field].is_bonus))

    def scores(self, packed: Sequence[bytes], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return a score from 0 to 1 (the share of `bound`) per document; `lengths` has shape (fields, documents)."""
        if not len(packed) or not self.bound:
            return np.zeros(len(packed))
        places = range(0, len(packed), AT_ONCE)
        parts = [self._scores(packed[i : i + AT_ONCE], lengths[:, i : i + AT_ONCE]) for i in places]
        return np.concatenate(parts)

    def _scores(self, packed: Sequence[bytes], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        owners, terms, counts = self._matches(packed)
        fields = self._fields[terms]
        norm = K1 * (1 - B + B * lengths[fields, owners] / self._means[fields])
        parts = self._weights[terms] * counts / (counts + norm)
        return np.minimum(np.bincount(owners, parts, len(packed)) / self.bound, 1.0)

    def contains(self, packed: Sequence[bytes]) -> NDArray[np.bool_]:
        """Return whether each document contains any of the query's terms."""
        owners, _, _ = self._matches(packed)
        return np.bincount(owners, minlength=len(packed)) > 0

    def _matches(self, packed: Sequence[bytes]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        read = np.frombuffer(b"".join(packed), PACKED)
        ends = np.cumsum([len(document) // PACKED.itemsize for document in packed])
        # A table of the low 16 bits excludes nearly all terms; the rest are looked up exactly.
        places = np.flatnonzero(self._seen[read["term"] & 0xFFFF])
        candidates = read[places]
        terms = np.minimum(np.searchsorted(self._ids, candidates["term"]), max(len(self._ids) - 1, 0))
        exact = self._ids[terms] == candidates["term"] if len(self._ids) else np.zeros(0, bool)
        owners = np.searchsorted(ends, places[exact], side="right")
        return owners, terms[exact], candidates["count"][exact].astype(np.float64)


def idf(having: int, documents: int) -> float:
    """Return the inverse document frequency of a term in `having` of `documents`; never negative."""
    having = min(having, documents)
    return math.log(1 + (documents - having + 0.5) / (having + 0.5))
