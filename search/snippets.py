"""The passage of a text that best shows why it matched, with the matching words marked in their original spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from search.marks import (
    Match,
    blocks,
    marked_segments,
    matches_in,
    phrases_within,
    placed_matches,
)
from search.matcher import PHRASE_WEIGHT, QueryMatcher
from search.results import Segment
from utils.hebrew import Word, forms, words

LENGTH = 240  # characters
LEAD_IN = 40  # characters shown before the first match
# Blocks of one text whose words are placed, which costs ten times as much as reading them: a bound on CPU for long
# texts with niqqud, whose words are further apart than they look.
MOST_PLACED = 24


@dataclass(slots=True)
class PassageSearch:
    """Finds the earliest passage of a text with the highest score; the text may come in pieces.

    `found` are the matching words as they are spelled where they were looked at.
    """

    matcher: QueryMatcher
    passage: tuple[Segment, ...] = ()
    score: float = 0.0
    found: dict[str, None] = field(default_factory=dict)
    placed: int = 0

    @property
    def is_done(self) -> bool:
        """Whether more text cannot bring a better passage."""
        return self.score >= self.matcher.best_possible() or self.placed >= MOST_PLACED

    def read(self, text: str, at: int = 0, is_last: bool = True) -> None:
        """Look for a better passage in a text, or in the part of one that stands at a place in it."""
        for start, border in blocks(text):
            if self.is_done:
                return
            end = min(border + max(self.matcher.reach, LENGTH), len(text))
            block_forms = forms(text[start:end])
            if _highest_of_all(set(block_forms), self.matcher) <= self.score:
                continue
            if not self.score or _highest(block_forms, self.matcher) > self.score:
                self._read_block(text, start, end, at, is_last)

    def _read_block(self, text: str, start: int, end: int, at: int, is_last: bool) -> None:
        matches = placed_matches(words(text[start:end]), self.matcher, start)
        self.placed += 1
        self.found |= dict.fromkeys(text[match.start : match.end] for match in matches)
        best, score = best_start(matches, self.matcher)
        if score <= self.score:
            return
        self.score = score
        first, last = whole_words(text, max(best - LEAD_IN, 0))
        if first < start or last > end:  # the passage reaches into the next block
            matches = placed_matches(words(text[first:last]), self.matcher, first)
        self.passage = excerpt(text, first, last, matches, at, is_last)


def _highest_of_all(held: set[str], matcher: QueryMatcher) -> float:
    """Return what a passage with all of these words can score at most."""
    return matcher.score(held) + PHRASE_WEIGHT * phrases_within(held, matcher)


def _highest(text_forms: Sequence[str], matcher: QueryMatcher) -> float:
    """Return what a passage of a text with these words can score at most: as if they stood as close as they can."""
    ends = accumulate(len(form) + 1 for form in text_forms)
    closest = [Word(form, end - len(form) - 1, end - 1) for form, end in zip(text_forms, ends, strict=True)]
    return best_start(placed_matches(closest, matcher, 0), matcher)[1]


def best_start(matches: Sequence[Match], matcher: QueryMatcher) -> tuple[int, float]:
    """Return the start of the best passage, and its score; the earliest if several."""
    best, best_score, last = 0, 0.0, 0
    for index, first in enumerate(matches):
        last = max(last, index)
        while last < len(matches) and matches[last].end <= first.start + LENGTH - LEAD_IN:
            last += 1
        within = matches[index:last]
        phrases = {match.phrase for match in within} - {-1}
        score = matcher.score(match.form for match in within) + PHRASE_WEIGHT * len(phrases)
        if score > best_score:
            best, best_score = first.start, score
    return best, best_score


@dataclass(frozen=True, slots=True)
class MarkedDocument:
    """A whole document with its matches marked.

    `best` is the number of the match that begins the best passage; those of the body count from 1, and 0 is none.
    """

    title: tuple[Segment, ...]
    body: tuple[Segment, ...]
    matches: int  # in title and body
    in_body: int
    best: int


def marked_document(title: str, body: str, matcher: QueryMatcher) -> MarkedDocument:
    in_title, in_body = matches_in(title, matcher), matches_in(body, matcher)
    start, _ = best_start(in_body, matcher)
    best = next((number for number, match in enumerate(in_body, 1) if match.start == start), 0)
    marked_title, marked_body = marked_segments(title, in_title), marked_segments(body, in_body)
    return MarkedDocument(marked_title, marked_body, len(in_title) + len(in_body), len(in_body), best)


def snippet(text: str, start: int = 0, at: int = 0) -> tuple[Segment, ...]:
    """Return about LENGTH characters from `start`, without marks."""
    return excerpt(text, *whole_words(text, start), (), at)


def excerpt(
    text: str, start: int, end: int, matches: Sequence[Match], at: int = 0, is_last: bool = True
) -> tuple[Segment, ...]:
    """Return the segments of text[start:end] between ellipses; `at` is the text's place in a longer one."""
    before, after = "… " if start + at else "", " …" if end < len(text) or not is_last else ""
    inner = marked_segments(text, matches, start, end)
    return tuple(segment for segment in (Segment(before), *inner, Segment(after)) if segment.text)


def whole_words(text: str, start: int) -> tuple[int, int]:
    """Return a range of about LENGTH characters from `start`, without partial words at either end."""
    if 0 < start < len(text) and not text[start - 1].isspace():
        space = text.find(" ", start, start + 30)
        start = space + 1 if space >= 0 else start
    end = min(start + LENGTH, len(text))
    if end < len(text):
        space = text.rfind(" ", start + LENGTH // 2, end)
        end = space if space > start else end
    return start, end
