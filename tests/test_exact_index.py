"""The exact index against the products themselves."""

from __future__ import annotations

import numpy as np

from utils.bit_rows import SearchTarget
from utils.exact_index import ExactIndex
from utils.int8 import centred, compact
from utils.language_means import LanguageMeans

DIM, ROWS = 48, 3_000


def test_the_nearest_are_exact_in_every_language_and_after_changes() -> None:
    random = np.random.default_rng(6)
    means = LanguageMeans(random.normal(size=(3, DIM)).astype(np.float32))
    vectors = means.means[random.integers(0, 2, ROWS)] + random.normal(size=(ROWS, DIM)).astype(np.float32)
    stored = compact(vectors, means.centre)
    index = ExactIndex(means)
    for start in range(0, ROWS, 700):
        keys = np.arange(start, min(start + 700, ROWS))
        index.append(keys, np.zeros(len(keys), np.int16), stored[start : start + 700])
    index.remove(np.arange(0, ROWS, 7))
    left = np.setdiff1d(np.arange(ROWS), np.arange(0, ROWS, 7))

    rows = centred(stored, DIM)
    less_means = means.less_means(rows, means.groups(rows))
    for _ in range(20):
        vector, unit = random.normal(size=(2, DIM)).astype(np.float32)
        exact = (rows + means.centre) @ vector + less_means @ unit / np.linalg.norm(less_means, axis=1)
        target = SearchTarget(vector, unit, means.means @ vector)
        places, totals = index.nearest(target, 30)
        expected = left[np.argsort(-exact[left])[:30]]
        assert index.keys[places].tolist() == expected.tolist()
        np.testing.assert_allclose(totals, exact[expected], rtol=1e-4, atol=1e-4)
        some = left[::11]
        places, _ = index.nearest(target, 10, index.places(some))
        assert index.keys[places].tolist() == some[np.argsort(-exact[some])[:10]].tolist()


def test_an_empty_index_finds_nothing() -> None:
    index = ExactIndex(LanguageMeans(np.zeros((1, DIM), np.float32)))
    assert index.nearest(SearchTarget.plain(np.ones(DIM, np.float32)), 5)[0].tolist() == []
    assert (index.size, index.places(np.array([4])).tolist()) == (0, [])
