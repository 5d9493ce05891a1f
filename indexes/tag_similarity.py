"""Whether two tags mean the same: cosine within a language, mean-centred cosine across languages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.manifest import Manifest
from utils.int8 import Floats
from utils.language_means import LanguageMeans


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
