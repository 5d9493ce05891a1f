"""How names begin, as hashes: by them most places of a text are known not to begin one of many names."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from utils.hebrew import forms

Beginnings = NDArray[np.uint32]


def beginning(*words: str) -> int:
    """Return the hash of the first words of a name; names that meet cost a look-up, no more."""
    return crc32(" ".join(words).encode("utf-8", "surrogatepass"))


def beginnings(names: Iterable[str]) -> Beginnings:
    """Return the hashes of how names begin: of two words, or of the only one; sorted, four bytes each."""
    return np.unique(np.array([beginning(*parted[:2]) for name in names if (parted := forms(name))], np.uint32))
