"""Bits of embeddings against what they are bits of."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from utils.bit_rows import NEVER, BitQuery, BitRows, SearchTarget, places_within, signs

Floats = NDArray[np.float32]


def random_rows(count: int, dim: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def coded(rows: Floats, groups: NDArray[np.int8] | int = 0) -> BitRows:
    return BitRows.of(rows, groups, np.full(rows.shape[1], 0.01, np.float32))


@pytest.mark.parametrize("dim", [7, 64, 96, 384, 768, 1_024, 1_536])
def test_distances_are_of_all_dimensions_and_fit_a_byte(dim: int) -> None:
    rows = random_rows(500, dim)
    query = BitQuery(SearchTarget.plain(rows[0]), np.zeros(dim, np.float32), 1.0)
    distances = query.distances(coded(np.concatenate([rows, -rows[:1]])))
    exact = np.array([np.count_nonzero((row > 0) != (rows[0] > 0)) for row in rows])
    steps = exact / max(distances[1:500].mean() / exact[1:].mean(), 1e-9) ** -1
    assert distances[0] == 0
    assert distances[-1] == distances.max() <= NEVER  # the opposite is the farthest, and does not begin anew
    assert np.abs(distances[:500] - steps).max() <= 6


def test_a_group_that_lies_apart_is_farther() -> None:
    rows = random_rows(200, 128)
    groups = (np.arange(200) % 2).astype(np.int8)
    target = SearchTarget(rows[0], np.zeros(128, np.float32), np.array([20.0, 0.0], np.float32))
    added = BitQuery(target, np.zeros(128, np.float32), 11.0).distances(coded(rows, groups))
    plain = BitQuery(SearchTarget.plain(rows[0]), np.zeros(128, np.float32), 11.0).distances(coded(rows))
    assert (added[::2] == plain[::2]).all()
    assert len(set((added[1::2] - plain[1::2]).tolist())) == 1
    assert int(added[1]) > int(plain[1])


def test_estimates_are_near_the_products_with_and_without_lengths() -> None:
    rows = random_rows(2_000, 384) * np.random.default_rng(2).uniform(0.5, 1.5, (2_000, 1)).astype(np.float32)
    vector, unit = random_rows(2, 384, seed=3)
    vector, unit = vector + rows[:100].mean(axis=0) * 5, vector * 0.7 + unit * 0.1
    lengths = np.linalg.norm(rows, axis=1)
    exact = rows @ vector + rows @ unit / lengths
    bits = coded(rows)
    target = SearchTarget(vector, unit, np.zeros(1, np.float32))
    query = BitQuery(target, np.full(384, 0.01, np.float32), bits.mean_norm())
    estimates = query.estimates(bits, np.arange(2_000))
    assert np.corrcoef(estimates, exact)[0, 1] > 0.75
    assert abs(float((estimates - exact).mean())) < 0.1 * float(exact.std())


def test_what_is_left_out_is_not_found_whichever_way_rows_are_chosen() -> None:
    rows = random_rows(3_000, 128)
    bits, mean = coded(rows), np.full(128, 0.01, np.float32)
    query = BitQuery(SearchTarget.plain(rows[7]), mean, bits.mean_norm())
    without = np.array([3, 7, 2_999])
    for first in (50, 5_000):
        for among in (None, np.arange(3_000), np.arange(0, 3_000, 3), np.array([1, 3, 7, 8])):
            kept, _ = query.nearest(bits, first, 2_000, among)
            assert kept[0] == 7 or (among is not None and 7 not in among)
            left, estimates = query.nearest(bits, first, 2_000, among, without)
            assert not set(left.tolist()) & set(without.tolist())
            assert set(left.tolist()) <= set(range(3_000) if among is None else among.tolist())
            assert (np.diff(estimates) <= 0).all()
    assert query.nearest(bits, 50, 10, np.zeros(0, np.int64))[0].tolist() == []


def test_bytes_give_the_same_rows() -> None:
    bits = coded(random_rows(33, 100), np.arange(33, dtype=np.int8))
    again = BitRows.frombuffer(bits.tobytes(), 33, 100)
    assert all((one == other).all() for one, other in zip(bits.arrays, again.arrays, strict=True))
    assert len(bits.tobytes()) == 33 * BitRows.row_bytes(100)


def test_about_as_many_places_as_asked_for() -> None:
    distances = np.random.default_rng(4).normal(90, 12, 400_000).clip(0, 254).astype(np.uint8)
    distances[:1_000] = NEVER
    count = len(places_within(distances, 5_000))
    assert 4_500 <= count <= 9_000
    assert places_within(np.full(10, NEVER, np.uint8), 5).tolist() == []


def test_signs_of_a_width_that_is_no_multiple_of_64_are_padded() -> None:
    assert signs(np.ones((2, 65), np.float32)).tolist() == [[2**64 - 1] * 2, [1] * 2]
