"""Hashes of strings and of all their substrings, to look up vocabulary pieces in a memory-mapped table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio: spreads neighbouring values
_SHIFT = np.uint64(29)


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


def hashes_of(strings: list[str], seed: int = 0) -> np.ndarray:
    """Return the uint64 hashes of whole strings, shape (len(strings),)."""
    lengths = np.array([len(string) for string in strings])
    hashes = np.full(len(strings), seed, dtype=np.uint64)
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        columns = codes("".join(strings[row] for row in rows)).reshape(len(rows), length)
        for column in columns.astype(np.uint64).T:
            hashes[rows] = extended(hashes[rows], column)
    return hashes
