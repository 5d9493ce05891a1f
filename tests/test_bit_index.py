"""The bit index against exact search."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from utils.bit_index import BitIndex
from utils.bit_rows import SearchTarget

DIM = 96
Floats = NDArray[np.float32]


class Clustered:
    """Unit vectors round 200 centres that share a large mean, as the passages of a real model do."""

    def __init__(self, size: int, seed: int = 3) -> None:
        self._chance = np.random.default_rng(seed)
        self._common = self._chance.normal(size=DIM)
        self._centres = self._chance.normal(size=(200, DIM))
        self.passages = self.drawn(size)
        self.mean = self.passages.mean(axis=0)
        self.query_mean = self.drawn(500).mean(axis=0)

    def drawn(self, size: int) -> Floats:
        centres = self._centres[self._chance.integers(200, size=size)]
        found = self._common * 2 + centres + self._chance.normal(size=(size, DIM))
        unit: Floats = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def index(self, size: int | None = None) -> BitIndex:
        made = BitIndex(self.mean, self.query_mean)
        rows = self.passages[:size]
        made.append(keys(range(len(rows))), np.zeros(len(rows), np.int16), rows - self.mean)
        return made


def places(
    index: BitIndex, query: Floats, first: int, then: int, among: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    return index.nearest(SearchTarget.plain(query), first, then, among)[0]


def keys(numbers: range | list[int]) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


@pytest.fixture(scope="module")
def vectors() -> Clustered:
    return Clustered(12_000)


def recall(vectors: Clustered, index: BitIndex, among: NDArray[np.int64] | None = None) -> float:
    """Return the mean share of the exact 20 best that are in the 200 found, over 40 queries."""
    rows = np.arange(len(vectors.passages)) if among is None else among
    shares = []
    for query in vectors.drawn(40):
        exact = rows[np.argsort(-(vectors.passages[rows] @ query))[:20]]
        found = index.keys[places(index, query, 1_500, 200, among)]
        shares.append(len(np.intersect1d(exact, found)) / len(exact))
    return float(np.mean(shares))


def test_the_true_nearest_are_among_the_found(vectors: Clustered) -> None:
    assert recall(vectors, vectors.index()) > 0.95


def test_they_are_found_among_a_few_rows_too(vectors: Clustered) -> None:
    among = np.sort(np.random.default_rng(5).choice(12_000, 900, replace=False))
    index = vectors.index()
    assert recall(vectors, index, among) > 0.95
    found = places(index, vectors.passages[0], 1_500, 200, among)
    assert set(found.tolist()) <= set(among.tolist())


def test_the_best_comes_first(vectors: Clustered) -> None:
    index = vectors.index()
    firsts = [int(index.keys[places(index, vectors.passages[row], 500, 10)[0]]) for row in range(50)]
    assert np.mean(np.array(firsts) == np.arange(50)) > 0.9


def test_rows_come_in_parts_as_they_do_at_once(vectors: Clustered) -> None:
    whole, grown = vectors.index(3_000), BitIndex(vectors.mean, vectors.query_mean)
    for start in range(0, 3_000, 700):
        part = slice(start, min(start + 700, 3_000))
        rows = vectors.passages[part] - vectors.mean
        grown.append(keys(range(part.start, part.stop)), np.zeros(len(rows), np.int16), rows)
    for query in vectors.drawn(10):
        assert places(whole, query, 400, 50).tolist() == places(grown, query, 400, 50).tolist()


def test_removed_rows_are_found_no_more_and_the_others_stay(vectors: Clustered) -> None:
    index = vectors.index(2_000)
    gone = np.random.default_rng(9).choice(2_000, 700, replace=False)
    index.remove(gone)
    index.remove(gone)
    assert index.size == 1_300
    assert sorted(index.keys[:1_300].tolist()) == sorted(set(range(2_000)) - set(gone.tolist()))
    for row in sorted(set(range(2_000)) - set(gone.tolist()))[::40]:
        assert row in index.keys[places(index, vectors.passages[row], 300, 20)]


def test_a_key_has_any_number_of_parts_that_go_together(vectors: Clustered) -> None:
    index = BitIndex(vectors.mean, vectors.query_mean, capacity=2)
    index.append(keys([7, 7, 8, 7]), np.array([0, 1, 0, 2], np.int16), vectors.passages[:4] - vectors.mean)
    assert index.keys[index.places(keys([7, 99]))].tolist() == [7, 7, 7]
    assert sorted(index.parts[index.places(keys([7]))].tolist()) == [0, 1, 2]
    index.remove(keys([7]))
    assert (index.size, index.keys[0], index.parts[0]) == (1, 8, 0)


def test_an_empty_index_finds_nothing(vectors: Clustered) -> None:
    empty = BitIndex(vectors.mean, vectors.query_mean)
    assert places(empty, vectors.passages[0], 100, 10).tolist() == []
    assert empty.places(keys([1, 2])).tolist() == []
    empty.remove(keys([1]))
    everything_gone = vectors.index(5)
    everything_gone.remove(keys(range(5)))
    assert places(everything_gone, vectors.passages[0], 100, 10).tolist() == []


def test_nothing_is_found_among_no_rows(vectors: Clustered) -> None:
    assert places(vectors.index(50), vectors.passages[0], 100, 10, keys([])).tolist() == []


@pytest.mark.parametrize("size", [1, 5, 10, 11])
def test_fewer_rows_than_asked_for_are_all_found(vectors: Clustered, size: int) -> None:
    found = places(vectors.index(size), vectors.passages[0], 100, 10)
    assert len(found) == min(size, 10) == len(set(found.tolist()))


def test_a_row_takes_few_bytes(vectors: Clustered) -> None:
    index = BitIndex(vectors.mean, vectors.query_mean, capacity=1_000)
    assert index.nbytes == 1_000 * (2 * 16 + 8 + 2 + 4 * 2 + 1)


def test_a_width_that_is_no_multiple_of_64_is_as_good() -> None:
    chance = np.random.default_rng(2)
    rows = chance.normal(size=(300, 70)).astype(np.float32)
    index = BitIndex(np.zeros(70, np.float32), np.zeros(70, np.float32))
    index.append(keys(range(300)), np.zeros(300, np.int16), rows)
    assert [int(places(index, rows[row], 50, 5)[0]) for row in range(20)] == list(range(20))
