"""Memory-mapped tables of a tokenizer: characters with their normalization, and pieces by the hash of their text.

The table of characters comes from the published tokenizer, so it follows the Unicode version that the model was trained
with, not Python's; a text touches a page or two of its 4 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

CHARACTERS_FILE = "characters.npy"
ALL_CHARACTERS = 0x110000
# Characters that are words of their own; the 75,000 ideographs need no string each.
APART = 1 << 31
_MOST_CACHED = 4096  # texts in one script use a few hundred
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: spreads neighbouring values
_SHIFT = np.uint64(29)


class Characters(dict[int, str]):
    """Code point to replacement, for str.translate; caches look-ups, and is emptied when full."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._table = np.load(folder / CHARACTERS_FILE, mmap_mode="r")

    def __missing__(self, code: int) -> str:
        if len(self) >= _MOST_CACHED:
            self.clear()
        self[code] = replacement = self._replacement(int(self._table[code]))
        return replacement

    def _replacement(self, value: int) -> str:
        if value >= APART:
            return f" {chr(value - APART)} "
        if value < ALL_CHARACTERS:
            return chr(value)
        length = int(self._table[value])
        return "".join(map(chr, self._table[value + 1 : value + 1 + length].tolist()))


def codes(text: str) -> np.ndarray:
    """Return the code points of a text, uint32 of shape (len(text),), lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def extended(hashes: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Return the uint64 hashes of strings extended by one character; the empty string's hash is 0."""
    mixed = (hashes ^ added) * _MULTIPLIER
    hashed: np.ndarray = mixed ^ (mixed >> _SHIFT)
    return hashed


def substrings(
    text: np.ndarray, inner: np.ndarray, seeds: np.ndarray, longest: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield starts, ends and hashes of the substrings of each length from 1 to `longest`.

    text holds code points; a substring goes on only over characters that are inner, so that none leaves its word;
    `seeds` holds the hash of the empty string at each start.
    """
    starts, hashes = np.arange(len(text)), seeds
    wide = text.astype(np.uint64)
    for length in range(1, longest + 1):
        ends = starts + length
        if length > 1:
            goes_on = ends <= len(text)
            goes_on[goes_on] = inner[ends[goes_on] - 1]
            starts, ends, hashes = starts[goes_on], ends[goes_on], hashes[goes_on]
        if not len(starts):
            return
        hashes = extended(hashes, wide[ends - 1])
        yield starts, ends, hashes
