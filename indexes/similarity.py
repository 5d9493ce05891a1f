"""Similarity of documents to a query, and of tags to one another, under one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.manifest import Manifest
from indexes.own_means import OwnMeans
from utils.bit_rows import SearchTarget
from utils.int8 import Floats, centred
from utils.language_means import LanguageMeans


@dataclass(frozen=True, slots=True)
class DocumentSimilarity:
    """The similarity of a document to the query, and its most similar chunk (a range of the body).

    `similarity` ranks; `centred` is the cosine of both less their languages' means. `is_across` if they are in
    different languages.
    """

    similarity: float
    centred: float = 1.0
    start: int = 0
    end: int = 0
    is_across: bool = False


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A query's embedding under one model; similarities become scores by the model's calibration."""

    vector: Floats
    language: int  # its group among the means
    passages: LanguageMeans  # the means by which a passage's language is recognized
    own: OwnMeans  # of this site's passages, which they are compared less
    direction: Floats  # the mean-centred vector, of length 1
    manifest: Manifest
    floor: float  # for the mean-centred cosine

    @staticmethod
    def of_question(
        vector: Floats,
        passages: LanguageMeans,
        questions: LanguageMeans,
        manifest: Manifest,
        floor: float,
        own: OwnMeans | None = None,
    ) -> QueryVector:
        """Return an embedding that was encoded as a question; by the model's means without those of a site."""
        own = own or OwnMeans(passages, 1.0)
        language = questions.group(vector)
        return QueryVector(vector, language, passages, own, questions.direction(vector), manifest, floor)

    def score(self, near: DocumentSimilarity) -> float:
        """Return the score, 0 to 1, by the model's range from unrelated to certain."""
        low, high = self.manifest.score_low, self.manifest.score_high
        return min(max((near.similarity - low) / (high - low), 0.0), 1.0)

    def is_relevant(self, near: DocumentSimilarity) -> bool:
        """Whether a document passes both of the model's floors, so that its similarity is not by chance.

        The cosine alone cannot tell random letters from a question; less the means it can.
        """
        return near.similarity >= self.manifest.score_floor and near.centred >= self.floor

    def similarities(self, centred_rows: Floats, groups: NDArray[np.int8]) -> tuple[Floats, Floats]:
        """Return the similarity of rows of (x - centre) to the query, and their mean-centred cosine."""
        rows = self.own.means.less_means(centred_rows, groups)
        less_means = rows @ self.direction / np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
        cosines = centred_rows @ self.vector + self.vector @ self.passages.centre
        return cosines + self.manifest.centred_weight * less_means, less_means

    @property
    def target(self) -> SearchTarget:
        """Return what stored rows are compared with: `similarities` by another name, as if all had the same length."""
        unit = self.manifest.centred_weight * self.direction
        return SearchTarget(self.vector, unit, self.passages.means @ self.vector + self._shifts(self.passages))

    def _shifts(self, groups: LanguageMeans) -> Floats:
        """Return what a row of each group is more similar less the site's mean than less that of its group."""
        moved = (groups.means - self.own.means.means) @ self.direction
        return np.asarray(self.manifest.centred_weight / self.own.length * moved, np.float32)

    def unit_targets(self, length: float, groups: LanguageMeans) -> tuple[Floats, Floats]:
        """Return a vector and an offset per language: the similarity of a row is its dot product plus the offset.

        It holds for rows of (x - mean of its group) normalized to length 1; `length` was their length.
        """
        vector = length * self.vector + self.manifest.centred_weight * self.direction
        offsets = groups.means @ self.vector
        return vector, offsets + self._shifts(groups) if len(groups.means) == len(self.own.means.means) else offsets


def best_similarities(
    rows: Sequence[tuple[int, int, int, bytes]], query_vector: QueryVector
) -> dict[int, DocumentSimilarity]:
    if not rows:
        return {}
    chunks = centred([bytes(row[3]) for row in rows], len(query_vector.vector))
    groups = query_vector.passages.groups(chunks)
    similarities, less_means = query_vector.similarities(chunks, groups)
    figures = zip(similarities.tolist(), less_means.tolist(), (groups != query_vector.language).tolist(), strict=True)
    best: dict[int, DocumentSimilarity] = {}
    for (document, start, end, _), (similarity, other, is_across) in zip(rows, figures, strict=True):
        if document not in best or similarity > best[document].similarity:
            best[document] = DocumentSimilarity(similarity, other, start, end, is_across)
    return best


class TagSimilarity:
    """Similarity of tags under one model, 0 to 1; `means` are those of queries, whose prefix tags share."""

    def __init__(self, manifest: Manifest, means: LanguageMeans) -> None:
        self._manifest, self._means = manifest, means
        self._is_across = manifest.tag_across > 0 and len(means.means) > 1

    def scaled(self, cosine: Floats) -> Floats:
        """Return cosines scaled to 0 to 1, where 0 means unrelated."""
        low = self._manifest.tag_low
        similarity: Floats = np.clip((cosine - low) / (1.0 - low), 0.0, 1.0)
        return similarity

    def similarities(self, ones: Floats, others: Floats) -> Floats:
        """Return the similarity of each embedding to each of the others, 0 if they do not mean the same."""
        cosines = ones @ others.T
        close = np.where(cosines >= self._manifest.same_from, self.scaled(cosines), np.float32(0.0))
        if not self._is_across:
            return close
        (mine, directions), (theirs, toward) = self._directions(ones), self._directions(others)
        across = directions @ toward.T
        kept = np.where(across >= self._manifest.tag_across, np.minimum(across, 1.0), np.float32(0.0))
        similarity: Floats = np.where(mine[:, None] == theirs[None, :], close, kept)
        return similarity

    def targets(self, vectors: Floats) -> Floats:
        """Return embeddings to search for tags with: the given ones, followed by their shifts into other languages.

        Languages lie apart, so the nearest embeddings are all of the same language.
        """
        if not self._is_across:
            return vectors
        groups, _ = self._directions(vectors)
        shifted = [vectors]
        for step in range(1, len(self._means.means)):
            moved = vectors + self._means.means[(groups + step) % len(self._means.means)] - self._means.means[groups]
            shifted.append(moved / np.linalg.norm(moved, axis=1, keepdims=True))
        return np.concatenate(shifted)

    def _directions(self, vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
        """Return the language of each embedding, and its mean-centred direction."""
        centred = vectors - self._means.centre
        groups = self._means.groups(centred)
        rows = self._means.less_means(centred, groups)
        return groups, rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
