"""Embeddings as rows whose distance from a target orders them as a similarity would, for an index of half precision.

A row is (x - mean of its group), of length 1, and a place for each group, that of its own set to PLACE. Rows are then
all of one length, so that the nearest by distance are those with the greatest dot product, and a graph of such rows is
one of what texts say: what all of a group share is out of it, but for a trace that a target weighs as it likes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from utils.int8 import Floats
from utils.language_means import MeanGroups

PLACE = 1 / 16  # small, so that neighbours in the graph are of every group
DIGITS = 6  # behind the point: a half has three that count, and the values are small


def half_groups(groups: MeanGroups, weighs_means: bool) -> MeanGroups:
    """Return by whose means rows are lessened: those of the groups, or, where a similarity is the plain cosine, none.

    A graph of rows less their means finds what is near by the cosine badly: the target is then far from all of them
    (recall .93 of 100,000, where a graph of whole ones has .98 and more).
    """
    return groups if weighs_means else MeanGroups(np.stack([groups.centre, np.zeros_like(groups.centre)]))


def half_width(dim: int, groups: int) -> int:
    """Return how many values a row has."""
    return dim + (groups if groups > 1 else 0)


def half_rows(less_means: Floats, groups: NDArray[np.int8], count: int) -> Floats:
    """Return rows of shape (n, half_width) for rows of (x - mean of its group)."""
    rows = np.zeros((len(less_means), half_width(less_means.shape[1], count)), np.float32)
    lengths = np.maximum(np.linalg.norm(less_means, axis=1, keepdims=True), 1e-12)
    rows[:, : less_means.shape[1]] = less_means / lengths
    if count > 1:
        rows[np.arange(len(rows)), less_means.shape[1] + groups.astype(np.int64)] = PLACE
    return rows


def half_target(vector: Floats, offsets: Floats) -> Floats:
    """Return where those rows are nearest whose dot product with `vector`, and their group's offset, is greatest."""
    scale = 1.0 / max(float(np.linalg.norm(vector)), 1e-12)  # among the rows: a graph finds badly from far away
    places = (offsets - offsets.mean()) / PLACE if len(offsets) > 1 else offsets[:0]
    target: Floats = np.concatenate([vector, places]).astype(np.float32) * np.float32(scale)
    return target


def halves_written(rows: Iterable[Floats]) -> list[str]:
    """Return each row as pgvector reads it."""
    return [str(np.round(row.astype(np.float64), DIGITS).tolist()) for row in rows]
