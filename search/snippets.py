"""The part of a text that shows why it matched, with what was found marked in the original letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from search.query import Parts
from search.results import Segment
from utils.hebrew import Word, forms, grams, stem, words

LENGTH = 240  # characters
# The share of its runs of four letters that a word has in common with one that was asked for (Dice), from which
# on it counts as the same word misspelt or inflected.
ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to mark: stems that were asked for, and the runs of letters of each word, and of all together."""

    stems: frozenset[str]
    runs: tuple[frozenset[str], ...]
    every: frozenset[str]
    known: dict[str, bool] = field(default_factory=dict)  # words of this page that were looked at already

    @classmethod
    def of(cls, parts: Parts) -> Wanted:
        runs = tuple(frozenset(grams(form)) for form in parts.forms())
        return cls(frozenset(parts.stems()), runs, frozenset().union(*runs))

    def holds(self, form: str) -> bool:
        if form not in self.known:
            self.known[form] = self._holds(form)
        return self.known[form]

    def _holds(self, form: str) -> bool:
        if stem(form) in self.stems:
            return True
        if len(form) < 4:
            return False
        here = grams(form)
        if self.every.isdisjoint(here):
            return False  # as nearly all words do, in a tenth of the time
        return any(abs(len(runs) - len(here)) < 4 and alike(frozenset(here), runs) >= ALIKE for runs in self.runs)


def alike(left: frozenset[str], right: frozenset[str]) -> float:
    return 2 * len(left & right) / (len(left) + len(right))


def found_words(text: str, wanted: Wanted) -> list[Word]:
    """Return the words of a text that were asked for, with their places."""
    if not wanted.stems:
        return []
    if not any(map(wanted.holds, forms(text))):
        return []  # the words' places, which cost most, are not needed
    return [word for word in words(text) if wanted.holds(word.form)]


def marked(text: str, found: Sequence[Word], start: int = 0, end: int | None = None) -> tuple[Segment, ...]:
    """Return text[start:end] in segments, the found words as segments of their own."""
    end = len(text) if end is None else end
    segments, place = [], start
    for word in found:
        if word.start < place or word.end > end:
            continue
        segments += [Segment(text[place : word.start]), Segment(text[word.start : word.end], found=True)]
        place = word.end
    segments.append(Segment(text[place:end]))
    return tuple(segment for segment in segments if segment.text)


def snippet(text: str, found: Sequence[Word], window: tuple[int, int] | None = None) -> tuple[Segment, ...]:
    """Return about LENGTH characters around most of the found words, else the given window, else the beginning."""
    if found:
        start = best_start(found)
    elif window and window[1] > window[0]:
        start = window[0]
    else:
        start = 0
    start, end = whole_words(text, start, start + LENGTH)
    before, after = "… " if start else "", " …" if end < len(text) else ""
    inner = marked(text, found, start, end)
    return tuple(segment for segment in (Segment(before), *inner, Segment(after)) if segment.text)


def best_start(found: Sequence[Word]) -> int:
    """Return where a passage begins that holds the most different words, the earliest of the best."""
    best, best_count = found[0].start, 0
    for place, word in enumerate(found):
        within = {stem(other.form) for other in found[place:] if other.end <= word.start + LENGTH - 40}
        if len(within) > best_count:
            best, best_count = word.start, len(within)
    return max(best - 40, 0)


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the range moved outwards of words that it would cut, forward at its start and back at its end."""
    if 0 < start < len(text) and not text[start - 1].isspace():
        space = text.find(" ", start, start + 30)
        start = space + 1 if space >= 0 else start
    end = min(end, len(text))
    if end < len(text):
        space = text.rfind(" ", start + LENGTH // 2, end)
        end = space if space > start else end
    return start, end
