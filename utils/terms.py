"""The terms under which a text is indexed: stems, runs of four letters, stems of its title, with their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from utils.bm25 import pack_columns, term_id
from utils.hebrew import content_forms, forms, grams, stem

STEM, GRAM, TITLE = "s", "g", "t"
LONGEST_FORM = 64  # characters; longer runs are not words, and indexes refuse them
# PostgreSQL refuses a tsvector over 1 MB: what one document may bring to the index is bounded well below.
MOST_BYTES = 300_000


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


class _Numbers(dict[str, int]):
    """Term numbers by term; begun anew when it holds MOST, which costs less than knowing which were used last."""

    MOST = 65_536

    def __init__(self, field: str) -> None:
        super().__init__()
        self._field = field

    def __missing__(self, term: str) -> int:
        if len(self) >= self.MOST:
            self.clear()
        self[term] = made = term_id(self._field, term)
        return made


_STEM_NUMBERS, _GRAM_NUMBERS, _TITLE_NUMBERS = _Numbers(STEM), _Numbers(GRAM), _Numbers(TITLE)


def stem_id(term: str) -> int:
    return _STEM_NUMBERS[term]


def gram_id(term: str) -> int:
    return _GRAM_NUMBERS[term]


def title_id(term: str) -> int:
    return _TITLE_NUMBERS[term]


def document_terms(title: str, body: str) -> Terms:
    """Return the terms of a document; its title counts as text too."""
    titles = Counter(stem(form[:LONGEST_FORM]) for form in content_forms(forms(title)))
    return replace(terms(title, body), titles=bounded(titles))


def terms(*texts: str) -> Terms:
    """Return the terms of the texts taken together; a text given twice counts twice."""
    counted = Counter(form[:LONGEST_FORM] for text in texts for form in content_forms(forms(text)))
    stems: dict[str, int] = {}
    runs: dict[str, int] = {}
    for form, count in counted.items():
        stripped = stem(form)
        stems[stripped] = stems.get(stripped, 0) + count
        for gram in grams(form):
            runs[gram] = runs.get(gram, 0) + count
    return Terms(bounded(stems), bounded(runs))


def bounded(counts: dict[str, int]) -> dict[str, int]:
    """Return the counts, without the rarest terms of a text so long that an index would refuse it."""
    if sum(map(len, counts)) * 2 < MOST_BYTES:
        return counts
    return dict(_within(Counter(counts).most_common(), MOST_BYTES))


def _within(counts: Iterable[tuple[str, int]], limit: int) -> Iterable[tuple[str, int]]:
    for term, count in counts:
        limit -= len(term.encode()) + 8
        if limit < 0:
            return
        yield term, count
