"""The part of a text that shows why it matched, with the matching words marked in their original spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from search.query import QueryParts
from search.results import Segment
from utils.hebrew import Word, forms, grams, stem, words

LENGTH = 240  # characters
# Dice similarity of the character 4-grams of two words, from which on they count as one word misspelt or inflected.
ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class QueryMatcher:
    """The words to mark: stems of the query, and the 4-grams of each of its words and of all together."""

    stems: frozenset[str]
    runs: tuple[frozenset[str], ...]
    every: frozenset[str]
    known: dict[str, bool] = field(default_factory=dict)  # words of this page that were checked already

    @classmethod
    def of(cls, parts: QueryParts) -> QueryMatcher:
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
        form_grams = grams(form)
        if self.every.isdisjoint(form_grams):
            return False  # true of nearly all words, and ten times as fast
        return any(
            abs(len(runs) - len(form_grams)) < 4 and dice(frozenset(form_grams), runs) >= ALIKE for runs in self.runs
        )


def dice(left: frozenset[str], right: frozenset[str]) -> float:
    return 2 * len(left & right) / (len(left) + len(right))


def matching_words(text: str, matcher: QueryMatcher) -> list[Word]:
    """Return the words of a text that match the query, with their places."""
    if not matcher.stems:
        return []
    if not any(map(matcher.holds, forms(text))):
        return []  # skips finding the words' places, the expensive part
    return [word for word in words(text) if matcher.holds(word.form)]


def marked_segments(text: str, matches: Sequence[Word], start: int = 0, end: int | None = None) -> tuple[Segment, ...]:
    """Return text[start:end] as segments, the matching words in segments of their own."""
    end = len(text) if end is None else end
    segments, place = [], start
    for word in matches:
        if word.start < place or word.end > end:
            continue
        segments += [Segment(text[place : word.start]), Segment(text[word.start : word.end], found=True)]
        place = word.end
    segments.append(Segment(text[place:end]))
    return tuple(segment for segment in segments if segment.text)


def snippet(text: str, matches: Sequence[Word], window: tuple[int, int] | None = None) -> tuple[Segment, ...]:
    """Return about LENGTH characters around most of the matches, else from the given window or the beginning."""
    if matches:
        start = best_start(matches)
    elif window and window[1] > window[0]:
        start = window[0]
    else:
        start = 0
    start, end = whole_words(text, start, start + LENGTH)
    before, after = "… " if start else "", " …" if end < len(text) else ""
    inner = marked_segments(text, matches, start, end)
    return tuple(segment for segment in (Segment(before), *inner, Segment(after)) if segment.text)


def best_start(matches: Sequence[Word]) -> int:
    """Return the start of the passage with the most distinct matches, the earliest if several."""
    best, best_count = matches[0].start, 0
    for place, word in enumerate(matches):
        within = {stem(other.form) for other in matches[place:] if other.end <= word.start + LENGTH - 40}
        if len(within) > best_count:
            best, best_count = word.start, len(within)
    return max(best - 40, 0)


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the range without partial words at either end."""
    if 0 < start < len(text) and not text[start - 1].isspace():
        space = text.find(" ", start, start + 30)
        start = space + 1 if space >= 0 else start
    end = min(end, len(text))
    if end < len(text):
        space = text.rfind(" ", start + LENGTH // 2, end)
        end = space if space > start else end
    return start, end
