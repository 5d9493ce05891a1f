"""Index terms of a text: stems, 4-grams, and stems of the title, with their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np

from utils.bm25 import pack_columns, term_id
from utils.hebrew import content_forms, forms, grams, stem

STEM, GRAM, TITLE = "s", "g", "t"
LONGEST_FORM = 64  # characters; longer runs are not words, and indexes reject them
# PostgreSQL rejects a tsvector over 1 MB: the terms of a document are bounded well below.
MOST_BYTES = 300_000
# This many words stay below the bound: a 4-gram takes at most 24 bytes, a stem 264.
FEW_STEMS, FEW_GRAMS = 1_100, 12_000


class _Form(NamedTuple):
    """The terms of one word; their numbers are uint32 as bytes, to be concatenated."""

    stem: str
    grams: tuple[str, ...]
    numbers: bytes


class _Forms(dict[str, _Form]):
    """A cache of words, emptied when it holds `most`: cheaper than LRU bookkeeping."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __missing__(self, form: str) -> _Form:
        if len(self) >= self._most:
            self.clear()
        root, runs = stem.__wrapped__(form), grams.__wrapped__(form)
        self[form] = terms = _Form(root, runs, _bytes([stem_id(root), *map(gram_id, runs)]))
        return terms


# The common words of a language; about 25 MB when full, which only an import reaches.
_FORMS = _Forms(65_536)


@dataclass(frozen=True)
class Terms:
    """The terms of a text, and those of its title separately.

    Counts by name are computed on demand: an import needs the numbers alone, at a third of the cost.
    """

    words: Sequence[_Form]
    title: Sequence[_Form] = ()

    @cached_property
    def stems(self) -> Mapping[str, int]:
        return bounded(Counter(word.stem for word in self.words))

    @cached_property
    def grams(self) -> Mapping[str, int]:
        return bounded(Counter(chain.from_iterable(word.grams for word in self.words)))

    @cached_property
    def titles(self) -> Mapping[str, int]:
        return bounded(Counter(word.stem for word in self.title))

    @property
    def fields(self) -> tuple[Iterable[str], Iterable[str], Iterable[str]]:
        """Return the distinct stems, grams and title stems, in text order."""
        if not self._is_short:
            return self.stems, self.grams, self.titles
        runs = chain.from_iterable([word.grams for word in self.words])
        return (
            dict.fromkeys([word.stem for word in self.words]),
            dict.fromkeys(runs),
            dict.fromkeys([word.stem for word in self.title]),
        )

    @property
    def ids(self) -> dict[int, int]:
        """Return counts by term number, all fields together."""
        totals: Counter[int] = Counter()
        for number, counts in ((stem_id, self.stems), (gram_id, self.grams), (title_id, self.titles)):
            for term, count in counts.items():
                totals[number(term)] += count
        return dict(totals)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Return the numbers of stems, grams and title stems, repetitions included."""
        if self._is_short:
            return len(self.words), self._gram_count, len(self.title)
        return sum(self.stems.values()), sum(self.grams.values()), sum(self.titles.values())

    def packed(self) -> bytes:
        if not self._is_short:
            ids = self.ids
            return pack_columns(list(ids), list(ids.values()))
        of_title = _bytes([title_id(word.stem) for word in self.title])
        joined = b"".join([*[word.numbers for word in self.words], of_title])
        numbers, counts = np.unique(np.frombuffer(joined, "<u4"), return_counts=True)
        return pack_columns(numbers, counts)

    @cached_property
    def _gram_count(self) -> int:
        return sum([len(word.grams) for word in self.words])

    @property
    def _is_short(self) -> bool:
        return len(self.words) <= FEW_STEMS and self._gram_count <= FEW_GRAMS


def forget_words() -> None:
    """Empty the cache of words."""
    _FORMS.clear()


def stem_id(term: str) -> int:
    return term_id(STEM, term)


def gram_id(term: str) -> int:
    return term_id(GRAM, term)


def title_id(term: str) -> int:
    return term_id(TITLE, term)


def document_terms(title: str, body: str) -> Terms:
    """Return the terms of a document; its title counts as text too."""
    of_title = _forms(title)
    return Terms(of_title + _forms(body), of_title)


def terms(*texts: str) -> Terms:
    """Return the terms of several texts together; repeated texts count again."""
    return Terms([form for text in texts for form in _forms(text)])


def cut_forms(text: str) -> list[str]:
    """Return the words of a text that are not stop words, overlong ones truncated."""
    words = content_forms(forms(text))
    return [form[:LONGEST_FORM] for form in words] if max(map(len, words), default=0) > LONGEST_FORM else words


def _forms(text: str) -> list[_Form]:
    return [_FORMS[form] for form in cut_forms(text)]


def _bytes(numbers: Sequence[int]) -> bytes:
    return np.array(numbers, "<u4").tobytes()


def bounded(counts: Counter[str]) -> Mapping[str, int]:
    """Return the counts without the rarest terms if an index would reject the text as too long."""
    if len(counts) < FEW_STEMS or sum(map(len, counts)) * 2 < MOST_BYTES:
        return counts
    return dict(_within(counts.most_common(), MOST_BYTES))


def _within(counts: Iterable[tuple[str, int]], limit: int) -> Iterable[tuple[str, int]]:
    for term, count in counts:
        limit -= len(term.encode()) + 8
        if limit < 0:
            return
        yield term, count
