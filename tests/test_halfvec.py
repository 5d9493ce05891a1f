"""Rows of halves: what is nearest to a target is what a vector and its groups' offsets put first."""

from __future__ import annotations

import json

import numpy as np

from indexes.pgvector import PLACE, halfvec_literals, halfvec_means, halfvec_rows, halfvec_target, halfvec_width
from utils.language_means import LanguageMeans


def unit_rows(random: np.random.Generator, count: int, dim: int) -> np.ndarray:
    rows = random.standard_normal((count, dim)).astype(np.float32)
    scaled: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def test_the_nearest_rows_are_those_with_the_greatest_product_and_offset() -> None:
    random = np.random.default_rng(1)
    unit, groups = unit_rows(random, 500, 24), random.integers(0, 3, 500).astype(np.int8)
    rows = halfvec_rows(unit * random.uniform(0.5, 2.0, (500, 1)).astype(np.float32), groups, 3)
    vector, offsets = 3 * random.standard_normal(24).astype(np.float32), np.array([0.1, -0.4, 0.6], np.float32)
    distances = np.linalg.norm(rows - halfvec_target(vector, offsets), axis=1)
    wanted = unit @ vector + offsets[groups]
    assert np.argsort(distances)[:50].tolist() == np.argsort(-wanted)[:50].tolist()


def test_without_a_weight_rows_are_the_whole_embeddings() -> None:
    random = np.random.default_rng(4)
    whole, means = unit_rows(random, 9, 8), 0.3 * random.standard_normal((3, 8)).astype(np.float32)
    groups = halfvec_means(LanguageMeans(means), weighs_means=False)
    centred = whole - means[0]
    rows = halfvec_rows(groups.less_means(centred, groups.groups(centred)), groups.groups(centred), len(groups.means))
    assert np.abs(rows - whole).max() < 1e-6
    weighed = LanguageMeans(means)
    assert halfvec_means(weighed, weighs_means=True) is weighed


def test_one_group_takes_no_place() -> None:
    rows = halfvec_rows(unit_rows(np.random.default_rng(2), 3, 8), np.zeros(3, np.int8), 1)
    assert rows.shape == (3, halfvec_width(8, 1)) == (3, 8)
    assert halfvec_target(np.ones(8, np.float32), np.ones(1, np.float32)).shape == (8,)
    assert halfvec_width(8, 2) == 10


def test_a_text_that_is_the_mean_itself_has_a_row_too() -> None:
    row = halfvec_rows(np.zeros((1, 4), np.float32), np.array([1], np.int8), 2)[0]
    assert row.tolist() == [0, 0, 0, 0, 0, PLACE]


def test_rows_are_written_as_lists_of_numbers() -> None:
    rows = unit_rows(np.random.default_rng(3), 2, 16)
    read = np.array([json.loads(one) for one in halfvec_literals(rows)])
    assert np.abs(read - rows).max() < 1e-6
