"""Nearest embeddings out of very many, from two bits a dimension: 115 bytes each in memory, the rest stays stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utils.bit_rows import BitQuery, BitRows, Floats, Places, SearchTarget
from utils.keyed_rows import KeyedRows


class BitIndex:
    """Rows of (key, part) that can be appended and removed."""

    def __init__(self, mean: Floats, query_mean: Floats, capacity: int = 0) -> None:
        self.query_mean = query_mean
        self.dim = len(mean)
        self._rows = KeyedRows(*BitRows.empty(0, self.dim).arrays, capacity=capacity)
        self._mean_norm: float | None = None

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

    @property
    def mean_norm(self) -> float:
        """Return the mean length of the rows; 1 if there are none."""
        if self._mean_norm is None:
            self._mean_norm = BitRows(*self._rows.columns).mean_norm()
        return self._mean_norm

    def append(
        self, keys: Places, parts: NDArray[np.int16], centred: Floats, groups: NDArray[np.int8] | int = 0
    ) -> None:
        """Add rows; `centred` is (x - mean), shape (n, dim), where each group may have its own mean."""
        self.append_bits(keys, parts, BitRows.of(centred, groups, self.query_mean))

    def append_bits(self, keys: Places, parts: NDArray[np.int16], bits: BitRows) -> None:
        """Add rows whose bits are known."""
        self._rows.append(keys, parts, *bits.arrays)
        self._mean_norm = None

    def remove(self, keys: Places) -> None:
        """Remove all rows of the given keys; the last rows take their places."""
        self._rows.remove(keys)
        self._mean_norm = None

    def places(self, keys: Places) -> Places:
        """Return the places of all rows of the given keys (sorted, distinct)."""
        return self._rows.places(keys)

    def nearest(
        self, target: SearchTarget, first: int, then: int, among: Places | None = None, length: float | None = None
    ) -> tuple[Places, Floats]:
        """Return at most `then` places with estimates, best first; `first` of them are compared as floats.

        `among` narrows the rows; `length` is their mean length, if these are a part of more.
        """
        query = BitQuery(target, self.query_mean, self.mean_norm if length is None else length)
        return query.nearest(BitRows(*self._rows.columns), first, then, among)
