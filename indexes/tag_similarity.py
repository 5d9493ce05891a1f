"""When two tags say the same: by their cosine in one language, and by what is left of it less the means across two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.manifest import Manifest
from utils.int8 import Floats
from utils.language_means import MeanGroups


class Closeness:
    """How close tags are under one model, 0 to 1; `means` are those of the queries, of which tags have the prefix."""

    def __init__(self, manifest: Manifest, means: MeanGroups) -> None:
        self._manifest, self._means = manifest, means
        self._is_across = manifest.tag_across > 0 and len(means.means) > 1

    def scaled(self, cosine: Floats) -> Floats:
        """Return cosines as 0 to 1: 0 is that of strangers."""
        low = self._manifest.tag_low
        found: Floats = np.clip((cosine - low) / (1.0 - low), 0.0, 1.0)
        return found

    def same(self, ones: Floats, others: Floats) -> Floats:
        """Return how close each of the embeddings is to each of the others, 0 where they do not say the same."""
        cosines = ones @ others.T
        close = np.where(cosines >= self._manifest.same_from, self.scaled(cosines), np.float32(0.0))
        if not self._is_across:
            return close
        (mine, directions), (theirs, toward) = self._directions(ones), self._directions(others)
        across = directions @ toward.T
        kept = np.where(across >= self._manifest.tag_across, np.minimum(across, 1.0), np.float32(0.0))
        found: Floats = np.where(mine[:, None] == theirs[None, :], close, kept)
        return found

    def asked(self, vectors: Floats) -> Floats:
        """Return embeddings to look for tags with: the given ones and, below them, as they would be in other languages.

        Two languages lie apart, so that the nearest ones are all of one's own.
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
        """Return the language of each embedding, and its direction from the mean of that language."""
        centred = vectors - self._means.centre
        groups = self._means.groups(centred)
        rows = self._means.less_means(centred, groups)
        return groups, rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
