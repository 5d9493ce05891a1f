"""The terms under which a text is indexed: stems, runs of four letters, stems of its title, with their counts."""

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
LONGEST_FORM = 64  # characters; longer runs are not words, and indexes refuse them
# PostgreSQL refuses a tsvector over 1 MB: what one document may bring to the index is bounded well below.
MOST_BYTES = 300_000
# So many words cannot come to so much: a run takes 24 bytes at the most, a stem 264.
FEW_STEMS, FEW_GRAMS = 1_100, 12_000


class _Form(NamedTuple):
    """What a word brings to the index; the numbers of its terms as uint32, in bytes that need only be joined."""

    stem: str
    grams: tuple[str, ...]
    numbers: bytes


class _Forms(dict[str, _Form]):
    """Words met before, begun anew when there are `most`: cheaper than to know which were used last."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __missing__(self, form: str) -> _Form:
        if len(self) >= self._most:
            self.clear()
        root, runs = stem.__wrapped__(form), grams.__wrapped__(form)
        self[form] = made = _Form(root, runs, _bytes([stem_id(root), *map(gram_id, runs)]))
        return made


# A language's common words; some 25 MB when full, which only an import makes it.
_FORMS = _Forms(65_536)


@dataclass(frozen=True)
class Terms:
    """The terms of a text's words, and those of the words of its title by themselves.

    Counts by name are made when they are asked for: an import needs the numbers alone, which cost a third.
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
        """Return the different stems, grams and stems of the title, in the order of the text."""
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
        found: Counter[int] = Counter()
        for number, counts in ((stem_id, self.stems), (gram_id, self.grams), (title_id, self.titles)):
            for term, count in counts.items():
                found[number(term)] += count
        return dict(found)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Return how many stems, grams and stems of the title there are, each as often as it comes."""
        if self._is_short:
            return len(self.words), self._gram_count, len(self.title)
        return sum(self.stems.values()), sum(self.grams.values()), sum(self.titles.values())

    def packed(self) -> bytes:
        if not self._is_short:
            found = self.ids
            return pack_columns(list(found), list(found.values()))
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
    """Let go of the words met before; those that come again are made anew."""
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
    """Return the terms of the texts taken together; a text given twice counts twice."""
    return Terms([form for text in texts for form in _forms(text)])


def cut_forms(text: str) -> list[str]:
    """Return the words of a text that carry a subject, those without end cut."""
    found = content_forms(forms(text))
    return [form[:LONGEST_FORM] for form in found] if max(map(len, found), default=0) > LONGEST_FORM else found


def _forms(text: str) -> list[_Form]:
    return [_FORMS[form] for form in cut_forms(text)]


def _bytes(numbers: Sequence[int]) -> bytes:
    return np.array(numbers, "<u4").tobytes()


def bounded(counts: Counter[str]) -> Mapping[str, int]:
    """Return the counts, without the rarest terms of a text so long that an index would refuse it."""
    if len(counts) < FEW_STEMS or sum(map(len, counts)) * 2 < MOST_BYTES:
        return counts
    return dict(_within(counts.most_common(), MOST_BYTES))


def _within(counts: Iterable[tuple[str, int]], limit: int) -> Iterable[tuple[str, int]]:
    for term, count in counts:
        limit -= len(term.encode()) + 8
        if limit < 0:
            return
        yield term, count
