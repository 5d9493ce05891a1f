"""Nearest embeddings by their stored int8 values: exact, for as many as can be read at each search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from utils.bit_rows import Floats, Places, SearchTarget
from utils.int8 import scales_and_values
from utils.keyed_rows import KeyedRows
from utils.language_means import LanguageMeans

BLOCK = 1_024  # rows that are floats at a time


class ExactIndex:
    """Rows of (key, part) that can be appended and removed; `means` are those of their groups."""

    def __init__(self, means: LanguageMeans, capacity: int = 0) -> None:
        self._means, self.dim = means, len(means.centre)
        scales, norms, groups = np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.int8)
        self._rows = KeyedRows(scales, norms, groups, np.zeros((self.dim, 0), np.int8), capacity=capacity)

    @property
    def size(self) -> int:
        return self._rows.size

    @property
    def nbytes(self) -> int:
        """Return the bytes in use."""
        return self._rows.nbytes

    @property
    def keys(self) -> NDArray[np.int64]:
        return self._rows.keys

    @property
    def parts(self) -> NDArray[np.int16]:
        return self._rows.parts

    def append(self, keys: Places, parts: NDArray[np.int16], stored: Sequence[bytes]) -> None:
        """Add rows as `utils.int8.compact` made them."""
        scales, values = scales_and_values(stored, self.dim)
        centred = values.astype(np.float32) * scales[:, None]
        groups = self._means.groups(centred)
        norms = np.linalg.norm(self._means.less_means(centred, groups), axis=1)
        self._rows.append(keys, parts, scales, norms, groups, values.T)

    def remove(self, keys: Places) -> None:
        """Remove all rows of the given keys; the last rows take their places."""
        self._rows.remove(keys)

    def places(self, keys: Places) -> Places:
        """Return the places of all rows of the given keys (sorted, distinct)."""
        return self._rows.places(keys)

    def nearest(self, target: SearchTarget, then: int, among: Places | None = None) -> tuple[Places, Floats]:
        """Return at most `then` places and what they come to, best first; `among` narrows the rows."""
        places = np.arange(self.size) if among is None else among
        totals = self._totals(target, among)
        if len(places) > then:
            best = totals.argpartition(-then)[-then:]
            places, totals = places[best], totals[best]
        order = np.argsort(-totals, kind="stable")
        return places[order], totals[order]

    def _totals(self, target: SearchTarget, among: Places | None) -> Floats:
        scales, norms, groups, values = self._rows.columns
        sides = np.stack([target.vector, target.unit])
        shifts = sides @ self._means.shifts.T + [target.offsets, np.zeros_like(target.offsets)]  # (2, groups)
        totals = np.empty(self.size if among is None else len(among), np.float32)
        for start in range(0, len(totals), BLOCK):
            block = slice(start, min(start + BLOCK, len(totals)))
            taken = block if among is None else among[block]
            products, units = sides @ values[:, taken].astype(np.float32) * scales[taken] + shifts[:, groups[taken]]
            totals[block] = products + units / np.maximum(norms[taken], 1e-12)
        return totals
