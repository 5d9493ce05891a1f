"""The terms under which a text is indexed: stems, runs of four letters, stems of its title, with their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TypeVar

from utils.bm25 import pack_columns, term_id
from utils.hebrew import content_forms, forms, grams, stem

Value = TypeVar("Value")

STEM, GRAM, TITLE = "s", "g", "t"
LONGEST_FORM = 64  # characters; longer runs are not words, and indexes refuse them
# PostgreSQL refuses a tsvector over 1 MB: what one document may bring to the index is bounded well below.
MOST_BYTES = 300_000
FEW = 1_000  # terms that cannot come to so much


@dataclass(frozen=True, slots=True)
class Terms:
    """Counts of the stems and grams of a text, and of the stems of its title by themselves."""

    stems: Mapping[str, int]
    grams: Mapping[str, int]
    titles: Mapping[str, int] = field(default_factory=dict)

    @property
    def ids(self) -> dict[int, int]:
        """Return counts by term number, all fields together."""
        return dict(zip(self._numbers(), self._counts(), strict=True))

    @property
    def stem_count(self) -> int:
        return sum(self.stems.values())

    @property
    def gram_count(self) -> int:
        return sum(self.grams.values())

    @property
    def title_count(self) -> int:
        return sum(self.titles.values())

    def packed(self) -> bytes:
        return pack_columns(self._numbers(), self._counts())

    def _numbers(self) -> list[int]:
        numbers = ((_STEM_NUMBERS, self.stems), (_GRAM_NUMBERS, self.grams), (_TITLE_NUMBERS, self.titles))
        return [number for kept, found in numbers for number in map(kept.__getitem__, found)]

    def _counts(self) -> list[int]:
        return [*self.stems.values(), *self.grams.values(), *self.titles.values()]


class _Made(dict[str, Value]):
    """Values made once for each word, begun anew when there are `most`: cheaper than to know which were used last."""

    def __init__(self, make: Callable[[str], Value], most: int) -> None:
        super().__init__()
        self._make, self._most = make, most

    def __missing__(self, word: str) -> Value:
        if len(self) >= self._most:
            self.clear()
        self[word] = made = self._make(word)
        return made


# A language's common words and their runs of letters; some 40 MB when full, which only an import makes them.
_STEMS, _GRAMS = _Made(stem.__wrapped__, 65_536), _Made(grams.__wrapped__, 65_536)
_STEM_NUMBERS = _Made(partial(term_id, STEM), 65_536)
_GRAM_NUMBERS = _Made(partial(term_id, GRAM), 131_072)
_TITLE_NUMBERS = _Made(partial(term_id, TITLE), 16_384)


def stem_id(term: str) -> int:
    return _STEM_NUMBERS[term]


def gram_id(term: str) -> int:
    return _GRAM_NUMBERS[term]


def title_id(term: str) -> int:
    return _TITLE_NUMBERS[term]


def document_terms(title: str, body: str) -> Terms:
    """Return the terms of a document; its title counts as text too."""
    of_title = cut_forms(title)
    found = _terms([*of_title, *cut_forms(body)])
    return replace(found, titles=bounded(Counter(map(_STEMS.__getitem__, of_title))))


def terms(*texts: str) -> Terms:
    """Return the terms of the texts taken together; a text given twice counts twice."""
    return _terms([form for text in texts for form in cut_forms(text)])


def cut_forms(text: str) -> list[str]:
    """Return the words of a text that carry a subject, those without end cut."""
    found = content_forms(forms(text))
    return [form[:LONGEST_FORM] for form in found] if max(map(len, found), default=0) > LONGEST_FORM else found


def _terms(found: list[str]) -> Terms:
    # Counted by the library's own loops: a document has some 500 runs of letters.
    runs = chain.from_iterable(map(_GRAMS.__getitem__, found))
    return Terms(bounded(Counter(map(_STEMS.__getitem__, found))), bounded(Counter(runs)))


def bounded(counts: Counter[str]) -> Mapping[str, int]:
    """Return the counts, without the rarest terms of a text so long that an index would refuse it."""
    if len(counts) < FEW or sum(map(len, counts)) * 2 < MOST_BYTES:
        return counts
    return dict(_within(counts.most_common(), MOST_BYTES))


def _within(counts: Iterable[tuple[str, int]], limit: int) -> Iterable[tuple[str, int]]:
    for term, count in counts:
        limit -= len(term.encode()) + 8
        if limit < 0:
            return
        yield term, count
