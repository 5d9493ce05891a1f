"""Hashes of the first words of names, to rule out quickly that one of many names starts at a place in a text."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from utils.hebrew import forms

PrefixHashes = NDArray[np.uint32]


def prefix_hash(*words: str) -> int:
    """Return the hash of the first words of a name; a collision only costs a look-up."""
    return crc32(" ".join(words).encode("utf-8", "surrogatepass"))


def prefix_hashes(names: Iterable[str]) -> PrefixHashes:
    """Return the sorted hashes of each name's first two words, or of its only one."""
    return np.unique(np.array([prefix_hash(*parted[:2]) for name in names if (parted := forms(name))], np.uint32))
