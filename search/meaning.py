"""What a query means under one model, and how near a document is to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.manifest import Manifest
from utils.vectors import Floats, centred


@dataclass(frozen=True, slots=True)
class Near:
    """How near a document is to the query, and the window of it that is nearest (a range of the body).

    `similarity` ranks; `centred` is the cosine of both less their means.
    """

    similarity: float
    centred: float = 1.0
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Meaning:
    """A query's embedding under one model; nearness to it becomes a score by the model's own range."""

    vector: Floats
    means: Floats  # of passages and of queries, shape (2, dim)
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
        """Return the similarity of rows of (x - mean) to the query, and their cosine less the means."""
        mean, query_mean = self.means
        direction = self.vector - query_mean
        lengths = np.linalg.norm(centred_rows, axis=1) * np.linalg.norm(direction)
        less_means = centred_rows @ direction / np.maximum(lengths, 1e-12)
        cosines = centred_rows @ self.vector + self.vector @ mean
        return cosines + self.manifest.centred_weight * less_means, less_means


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
