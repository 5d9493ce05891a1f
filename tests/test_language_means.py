"""Means by group: each row finds its own, and keeps what is its own."""

from __future__ import annotations

import numpy as np
import pytest

from utils.int8 import Floats
from utils.language_means import LanguageMeans

DIM = 32


@pytest.fixture
def rows() -> tuple[Floats, np.ndarray, Floats]:
    """Return embeddings of two groups, which group each is of, and the means: of all, of each."""
    chance = np.random.default_rng(3)
    of = np.repeat([0, 1], 50)
    shared = 3 * chance.standard_normal((2, DIM))
    found = (shared[of] + chance.standard_normal((100, DIM))).astype(np.float32)
    means = np.stack([found.mean(axis=0), found[of == 0].mean(axis=0), found[of == 1].mean(axis=0)])
    return found, of, means


def test_a_row_belongs_to_the_nearest_mean(rows: tuple[Floats, np.ndarray, Floats]) -> None:
    found, of, means = rows
    assert (LanguageMeans(means).groups(found - means[0]) == of).all()


def test_less_the_means_is_the_row_less_its_own_groups_mean(rows: tuple[Floats, np.ndarray, Floats]) -> None:
    found, of, means = rows
    groups = LanguageMeans(means)
    left = groups.less_means(found - groups.centre, groups.groups(found - groups.centre))
    np.testing.assert_allclose(left, found - means[1:][of], atol=1e-5)


def test_a_direction_has_length_one_and_points_as_the_row_less_its_mean(
    rows: tuple[Floats, np.ndarray, Floats],
) -> None:
    found, of, means = rows
    direction = LanguageMeans(means).direction(found[7])
    assert np.linalg.norm(direction) == pytest.approx(1)
    assert direction @ (found[7] - means[1 + of[7]]) == pytest.approx(
        np.linalg.norm(found[7] - means[1 + of[7]]), rel=1e-5
    )


def test_without_groups_the_centre_is_the_only_mean(rows: tuple[Floats, np.ndarray, Floats]) -> None:
    found, _, means = rows
    groups = LanguageMeans(means[:1])
    assert (groups.groups(found) == 0).all()
    np.testing.assert_array_equal(groups.less_means(found, groups.groups(found)), found)
