"""A model's word embeddings, in a memory-mapped file of 4-bit blocks or int8 rows."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

SCALES_FILE = "scales.npy"
WORDS_FILE = "words.npy"

# A block of 32 weights: a float16 scale, then 16 bytes with weights 0 to 15 in their low nibbles and 16 to 31 in their
# high nibbles, offset by 8. (The Q4_0 format of llama.cpp.)
BLOCK_WEIGHTS = 32
BLOCK_BYTES = 18


class BlockTable:
    """Word embeddings in 4-bit blocks."""

    def __init__(self, folder: Path) -> None:
        self._rows = _Mapped(folder)

    def rows(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 of shape (len(ids), width)."""
        return unpacked(self._rows.taken(np.asarray(ids, dtype=np.intp)))


class ByteTable:
    """Word embeddings as int8 rows with a float32 scale each; the 0.2 MB of scales are in memory."""

    def __init__(self, folder: Path) -> None:
        self._rows = _Mapped(folder)
        self._scales = np.load(folder / SCALES_FILE)

    def rows(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 of shape (len(ids), width)."""
        places = np.asarray(ids, dtype=np.intp)
        rows: np.ndarray = self._rows.taken(places) * self._scales[places, None]
        return rows


# By the manifest's `words`.
WORD_TABLES: dict[str, Callable[[Path], BlockTable | ByteTable]] = {"4-bit": BlockTable, "int8": ByteTable}


class _Mapped:
    """The rows of words.npy, released as soon as they are copied."""

    def __init__(self, folder: Path) -> None:
        self._rows = np.load(folder / WORDS_FILE, mmap_mode="r")
        _advise(self._rows, "MADV_RANDOM")  # random access: read 4 KB for a row, not 128 KB

    def taken(self, places: np.ndarray) -> np.ndarray:
        rows: np.ndarray = self._rows[places]
        # Each read maps 64 KB, and soon all 54 MB of the file would count as this process's memory.
        _advise(self._rows, "MADV_DONTNEED")
        return rows


def unpacked(blocks: np.ndarray) -> np.ndarray:
    """Return the float32 weights, shape (n, weights), of uint8 rows of blocks, shape (n, bytes)."""
    split = np.ascontiguousarray(blocks).reshape(len(blocks), -1, BLOCK_BYTES)
    scales = np.ascontiguousarray(split[:, :, :2]).view("<f2").astype(np.float32)
    halves = np.concatenate([split[:, :, 2:] & 15, split[:, :, 2:] >> 4], axis=2)
    weights: np.ndarray = (halves.astype(np.float32) - 8) * scales
    return weights.reshape(len(blocks), -1)


def _advise(rows: np.ndarray, advice: str) -> None:
    """Call madvise on a mapped file; without it, more memory is used."""
    mapped = getattr(rows, "_mmap", None)
    if mapped is not None and hasattr(mmap, advice):
        mapped.madvise(getattr(mmap, advice))
