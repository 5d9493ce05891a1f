"""Numbers of index terms: a form of a text, the same in a title or in another field, and what filters ask for."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from utils.hebrew import forms

# The lowest two bits of a term tell where it stands. Even ones have positions.
TEXT, TITLE, FIELD, FILTER = 0, 1, 2, 3
KIND_BITS = 3
_GRAM = 4
INDEX_VERSION = 3  # of these numbers and of the analysis: an index of another version is made again
LONGEST_FORM = 64  # characters; longer runs are not words


_LETTERS = 6  # the last ones, by which numbers are sorted


def _multipliers() -> NDArray[np.uint64]:
    """Return a random odd number for each place in a word, from its end: the same ones always (splitmix64)."""
    state = np.arange(1, LONGEST_FORM + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ state >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ state >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    odd: NDArray[np.uint64] = (state ^ state >> np.uint64(31)) | np.uint64(1)
    return odd


_HASH = _multipliers()
_ENDING = np.array([1 << 5 * (_LETTERS - 1 - place) if place < _LETTERS else 0 for place in range(LONGEST_FORM)])
_HASH_OF_PLACE: list[int] = _HASH.tolist()
_ENDING_OF_PLACE: list[int] = _ENDING.tolist()


class _Numbers(dict[str, int]):
    """The numbers of forms, emptied when there are `most`: cheaper than LRU bookkeeping."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __missing__(self, form: str) -> int:
        if len(self) >= self._most:
            self.clear()
        letters = [*map(ord, reversed(form[-LONGEST_FORM:]))]
        hashed = sum(map(mul, letters, _HASH_OF_PLACE)) >> 33 & 0x7FFFFFFF
        ending = sum(letter % 32 * place for letter, place in zip(letters, _ENDING_OF_PLACE[:_LETTERS], strict=False))
        number: int = ending << 33 | hashed << 2
        self[form] = number
        return number


_NUMBERS = _Numbers(16_384)


def text_term(form: str) -> int:
    """Return the number of a folded form: 63 bits, the lowest two of them 0.

    Numbers are in the order of the words' endings, so a word is next to itself behind prefix letters: a query reads few
    blocks for all of them. The rest is a multilinear hash of the letters.
    """
    return _NUMBERS[form]


def text_terms(folded: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of all words of a folded text, which single blanks separate, and where each begins and ends.

    The same numbers as those of `text_term`, without an object for each word.
    """
    if not folded:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    letters = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), "<u4")
    blanks = np.flatnonzero(letters == 32)
    starts, ends = np.concatenate(([0], blanks + 1)), np.append(blanks, len(letters))
    places = np.repeat(ends, np.diff(starts, append=len(letters) + 1))[: len(letters)] - 1 - np.arange(len(letters))
    places = np.minimum(places, LONGEST_FORM - 1)
    places[blanks] = 0
    letters = np.where(letters == 32, np.uint32(0), letters)
    hashed = np.add.reduceat(letters * _HASH[places], starts) >> np.uint64(33)
    endings = np.add.reduceat((letters & 31) * _ENDING[places], starts)
    return endings << 33 | hashed.astype(np.int64) << 2, starts, ends


def column_number(name: str) -> int:
    """Return what tells a form in this column from the same form elsewhere; never 0."""
    return crc32(name.encode("utf-8", "surrogatepass")) << 2 & 0x1FFFFFFFF | 1 << 2


def in_columns(terms: NDArray[np.int64], columns: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Return the numbers of forms, given by their own, in the columns of these numbers: next to the forms' own."""
    return (terms ^ columns) | FIELD


def gram_terms(forms: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the character 4-grams of `_form_`, which survive typos and endings, and how many each has.

    A gram is numbered by its letters; it may occur twice in a form.
    """
    padded = [f"_{form}_".ljust(_GRAM, "\0") for form in forms]
    text = "".join(padded).encode("utf-32-le", "surrogatepass")
    letters = np.frombuffer(text, "<u4").astype(np.int64) & 0x7FFF
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    windows = letters[:-3] << 45 | letters[1:-2] << 30 | letters[2:-1] << 15 | letters[3:]
    within = np.ones(len(windows), bool)
    ends = np.cumsum(lengths)[:-1]
    for distance in range(1, _GRAM):
        within[ends - distance] = False
    return windows[within] << 2 | FILTER, lengths - (_GRAM - 1)


def filter_term(key: int) -> int:
    """Return the number under which a tag, a collection or a language is indexed."""
    return key & ~KIND_BITS | FILTER


def index_forms(text: str) -> list[str]:
    """Return the folded words of a text in order, overlong ones truncated."""
    words = forms(text)
    return [form[:LONGEST_FORM] for form in words] if max(map(len, words), default=0) > LONGEST_FORM else words


def forget_terms() -> None:
    """Empty the cache of numbers."""
    _NUMBERS.clear()
