"""What a query means under one model, and how near a document is to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.manifest import Manifest
from utils.int8 import Floats, centred
from utils.language_means import MeanGroups


@dataclass(frozen=True, slots=True)
class Near:
    """How near a document is to the query, and the window of it that is nearest (a range of the body).

    `similarity` ranks; `centred` is the cosine of both less their languages' means.
    """

    similarity: float
    centred: float = 1.0
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Meaning:
    """A query's embedding under one model; nearness to it becomes a score by the model's own range."""

    vector: Floats
    passages: MeanGroups
    direction: Floats  # the vector less the mean of its language, of length 1
    manifest: Manifest
    floor: float  # for the cosine less the means

    def score(self, near: Near) -> float:
        """Return 0 to 1: where the document lies in the model's range from unrelated to sure."""
        low, high = self.manifest.score_low, self.manifest.score_high
        return min(max((near.similarity - low) / (high - low), 0.0), 1.0)

    def is_relevant(self, near: Near) -> bool:
        """Tell whether a document is near for what it says, not by chance: both of the model's floors are passed.

        The cosine alone cannot tell random letters from a question; less the means it can.
        """
        return near.similarity >= self.manifest.score_floor and near.centred >= self.floor

    def similarities(self, centred_rows: Floats) -> tuple[Floats, Floats]:
        """Return the similarity of rows of (x - centre) to the query, and their cosine less their language's means."""
        rows = self.passages.less_means(centred_rows, self.passages.groups(centred_rows))
        less_means = rows @ self.direction / np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
        cosines = centred_rows @ self.vector + self.vector @ self.passages.centre
        return cosines + self.manifest.centred_weight * less_means, less_means

    def asked(self, length: float) -> tuple[Floats, Floats]:
        """Return a vector and an offset for each language, whose dot product with a row + offset is the similarity.

        It holds for rows of (x - its language's mean) of the given length, and nearly for all: they differ little.
        """
        vector = self.vector + self.manifest.centred_weight / length * self.direction
        return vector, self.passages.means @ self.vector

    def asked_of_units(self, length: float, groups: MeanGroups) -> tuple[Floats, Floats]:
        """Return the same for rows of (x - the mean of its group) made of length 1; `length` is what they had."""
        vector = length * self.vector + self.manifest.centred_weight * self.direction
        return vector, groups.means @ self.vector


def best_windows(rows: Sequence[tuple[int, int, int, bytes]], meaning: Meaning) -> dict[int, Near]:
    if not rows:
        return {}
    stored = [bytes(row[3]) for row in rows]
    similarities, less_means = meaning.similarities(centred(stored, len(meaning.vector)))
    best: dict[int, Near] = {}
    for (document, start, end, _), similarity, other in zip(
        rows, similarities.tolist(), less_means.tolist(), strict=True
    ):
        if document not in best or similarity > best[document].similarity:
            best[document] = Near(similarity, other, start, end)
    return best
