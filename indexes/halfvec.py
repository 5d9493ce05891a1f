"""Embeddings as halfvec rows whose distance from a target orders them by similarity.

A row is (x - mean of its group), of length 1, and a place for each group, that of its own set to PLACE. Rows are then
all of one length, so that the nearest by distance have the greatest dot product, and a graph of such rows connects
texts by what they say: what a whole group shares is removed, but for a trace that a target can weigh.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from utils.int8 import Floats
from utils.language_means import LanguageMeans

PLACE = 1 / 16  # small, so that neighbours in the graph come from every group
DIGITS = 6  # decimals: a half has three significant digits, and the values are small


def halfvec_means(groups: LanguageMeans, weighs_means: bool) -> LanguageMeans:
    """Return the means to centre rows by: the groups', or zero if the similarity is the plain cosine.

    For the cosine a graph of centred rows is poor, since the target is far from all of them: recall .93 of 100,000,
    against .98 and more with uncentred rows.
    """
    return groups if weighs_means else LanguageMeans(np.stack([groups.centre, np.zeros_like(groups.centre)]))


def halfvec_width(dim: int, groups: int) -> int:
    """Return the number of values in a row."""
    return dim + (groups if groups > 1 else 0)


def halfvec_rows(less_means: Floats, groups: NDArray[np.int8], count: int) -> Floats:
    """Return rows of shape (n, halfvec_width) for rows of (x - mean of its group)."""
    rows = np.zeros((len(less_means), halfvec_width(less_means.shape[1], count)), np.float32)
    lengths = np.maximum(np.linalg.norm(less_means, axis=1, keepdims=True), 1e-12)
    rows[:, : less_means.shape[1]] = less_means / lengths
    if count > 1:
        rows[np.arange(len(rows)), less_means.shape[1] + groups.astype(np.int64)] = PLACE
    return rows


def halfvec_target(vector: Floats, offsets: Floats) -> Floats:
    """Return the point nearest to the rows with the greatest dot product with `vector` plus their group's offset."""
    scale = 1.0 / max(float(np.linalg.norm(vector)), 1e-12)  # as long as the rows: a graph search from afar is poor
    places = (offsets - offsets.mean()) / PLACE if len(offsets) > 1 else offsets[:0]
    target: Floats = np.concatenate([vector, places]).astype(np.float32) * np.float32(scale)
    return target


def halfvec_literals(rows: Iterable[Floats]) -> list[str]:
    """Return each row as a pgvector literal."""
    return [str(np.round(row.astype(np.float64), DIGITS).tolist()) for row in rows]
