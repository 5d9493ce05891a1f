"""Character normalization before tokenization, by a memory-mapped table over all of Unicode.

The table comes from the tokenizer, so it follows the Unicode version that the model was trained with, not Python's; a
text touches a page or two of its 4 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

CHARACTERS_FILE = "characters.npy"
ALL = 0x110000

# Characters that are words of their own; the 75,000 ideographs need no string each.
APART = 1 << 31
_MOST_KEPT = 4096  # texts in one script use a few hundred


class Characters(dict[int, str]):
    """Code point to replacement, for str.translate; caches look-ups, and is emptied when full."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._table = np.load(folder / CHARACTERS_FILE, mmap_mode="r")

    def __missing__(self, code: int) -> str:
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[code] = replacement = self._replacement(int(self._table[code]))
        return replacement

    def _replacement(self, value: int) -> str:
        if value >= APART:
            return f" {chr(value - APART)} "
        if value < ALL:
            return chr(value)
        length = int(self._table[value])
        return "".join(map(chr, self._table[value + 1 : value + 1 + length].tolist()))


def table(replacements: Iterable[str]) -> np.ndarray:
    """Return the uint32 table of the replacements of all code points, in order.

    A value below ALL is one character; with APART it stands by itself; any other is the place, in the same array,
    of a length and of so many characters.
    """
    values: list[int] = []
    more: list[int] = []
    places: dict[str, int] = {}
    for replacement in replacements:
        inner = replacement[1:-1]
        if len(replacement) == 1:
            values.append(ord(replacement))
        elif len(inner) == 1 and replacement == f" {inner} ":
            values.append(ord(inner) | APART)
        else:
            if replacement not in places:
                places[replacement] = ALL + len(more)
                more += [len(replacement), *map(ord, replacement)]
            values.append(places[replacement])
    return np.array(values + more, dtype=np.uint32)
