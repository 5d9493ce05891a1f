"""Rows of (key, part), such as (document, window), in arrays that grow; rows are removed by key."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
GROWTH = 1.25


class KeyedRows:
    """Keys, parts and other columns, whose last axis is the row; places run from 0 and change when rows are removed."""

    def __init__(self, *columns: NDArray[Any], capacity: int = 0) -> None:
        """Take an empty array for each further column: its type and its other axes."""
        shapes: tuple[NDArray[Any], ...] = (np.zeros(0, np.int64), np.zeros(0, np.int16), *columns)
        self._columns: list[NDArray[Any]] = [np.zeros((*array.shape[:-1], capacity), array.dtype) for array in shapes]
        self.size = 0
        self._sorted: tuple[Places, Places] | None = None

    @property
    def keys(self) -> NDArray[np.int64]:
        return self._columns[0]

    @property
    def parts(self) -> NDArray[np.int16]:
        return self._columns[1]

    @property
    def columns(self) -> list[NDArray[Any]]:
        """Return the columns that came with the rows, as far as they are filled."""
        return [array[..., : self.size] for array in self._columns[2:]]

    @property
    def nbytes(self) -> int:
        """Return the bytes in use."""
        return sum(array.nbytes for array in self._columns)

    def append(self, *columns: NDArray[Any]) -> None:
        """Add rows: their keys, parts and values for each column."""
        count = columns[0].shape[-1]
        self._reserve(self.size + count)
        for array, values in zip(self._columns, columns, strict=True):
            array[..., self.size : self.size + count] = values
        self.size += count
        self._sorted = None

    def _reserve(self, wanted: int) -> None:
        if wanted <= len(self.keys):
            return
        capacity = max(wanted, int(len(self.keys) * GROWTH))
        for number, old in enumerate(self._columns):
            grown = np.zeros((*old.shape[:-1], capacity), old.dtype)
            grown[..., : self.size] = old[..., : self.size]
            self._columns[number] = grown

    def remove(self, keys: Places) -> None:
        """Remove all rows of the given keys; the last rows take their places."""
        gone = self.places(np.unique(keys))
        if not len(gone):
            return
        left = self.size - len(gone)
        tail = np.setdiff1d(np.arange(left, self.size), gone, assume_unique=True)
        holes = gone[gone < left]
        for array in self._columns:
            array[..., holes] = array[..., tail]
        self.size = left
        self._sorted = None

    def places(self, keys: Places) -> Places:
        """Return the places of all rows of the given keys (sorted, distinct)."""
        if self._sorted is None:
            order = np.argsort(self.keys[: self.size], kind="stable")
            self._sorted = self.keys[order], order
        in_order, order = self._sorted
        starts, ends = (np.searchsorted(in_order, keys, side) for side in ("left", "right"))
        places: Places = order[ranges(starts, ends - starts)]
        return places


def ranges(starts: NDArray[Any], counts: NDArray[Any]) -> Places:
    """Return the numbers of consecutive ranges: (2, 7) and (3, 1) give 2, 3, 4, 7."""
    wide = counts.astype(np.int64)
    before = np.cumsum(wide) - wide
    numbers: Places = np.arange(wide.sum()) + np.repeat(starts.astype(np.int64) - before, wide)
    return numbers
