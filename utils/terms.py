"""Numbers of index terms: a form of a text, the same in a title or in another field, and what filters ask for."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from utils.hebrew import forms

# The lowest two bits of a term tell where it stands. Even ones have positions.
TEXT, TITLE, FIELD, FILTER = 0, 1, 2, 3
KIND_BITS = 3
_LETTERS = 6  # the last ones of a word, by which numbers are sorted
INDEX_VERSION = 3  # of these numbers and of the analysis: an index of another version is made again
LONGEST_FORM = 64  # characters; longer runs are not words


class _Numbers(dict[str, int]):
    """A cache of term numbers, emptied when it holds `most`: cheaper than LRU bookkeeping."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __missing__(self, form: str) -> int:
        if len(self) >= self._most:
            self.clear()
        self[form] = number = _number(form)
        return number


# The common words of a language; about 8 MB when full, which only an import reaches.
_NUMBERS = _Numbers(65_536)


def _number(name: str) -> int:
    ending = 0
    for letter in name[: -_LETTERS - 1 : -1]:
        ending = ending << 5 | ord(letter) & 31
    ending <<= 5 * max(_LETTERS - len(name), 0)
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return ending << 33 | int.from_bytes(digest, "big") << 1 & ~KIND_BITS


def text_term(form: str) -> int:
    """Return the number of a folded form: 63 bits, the lowest two of them 0.

    Numbers are in the order of the words' endings, so a word is next to itself behind prefix letters: a query reads few
    blocks for all of them. The rest is a hash.
    """
    return _NUMBERS[form]


def text_terms(folded: Iterable[str]) -> NDArray[np.int64]:
    return np.fromiter(map(_NUMBERS.__getitem__, folded), np.int64)


def column_terms(column: str, folded: Iterable[str]) -> NDArray[np.int64]:
    """Return the numbers of forms in one named column."""
    return text_terms(f"{column}\x1f{form}" for form in folded) | FIELD


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
