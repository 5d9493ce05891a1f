"""The words of a text that match a query, with their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from search.matcher import QueryMatcher
from search.results import Segment
from utils.hebrew import Word, forms, words

BLOCK = 4_000  # characters of a long text that are looked at together
_PREFIX_LETTERS = frozenset("ושכלבמה")


@dataclass(frozen=True, slots=True)
class Match:
    """A place that matches: a word, or a word of a phrase; `phrase` is the phrase's number where it begins, else -1."""

    form: str
    start: int
    end: int
    phrase: int = -1


def matches_in(text: str, matcher: QueryMatcher) -> list[Match]:
    """Return the words of a text that match the query, with their places."""
    matches: dict[int, Match] = {}
    for start, end in blocks(text):
        block = text[start : end + matcher.reach]
        if may_match(set(forms(block)), matcher):  # skips finding the words' places, the expensive part
            for match in placed_matches(words(block), matcher, start):
                if match.phrase >= 0 or match.start not in matches:
                    matches[match.start] = match
    return sorted(matches.values(), key=lambda match: match.start)


def may_match(held: set[str], matcher: QueryMatcher) -> bool:
    """Whether a text with these words can have a match."""
    return not held.isdisjoint(matcher.forms) or bool(phrases_within(held, matcher))


def phrases_within(held: set[str], matcher: QueryMatcher) -> int:
    """Return how many of the phrases have all their words among these."""
    if not matcher.phrases:
        return 0
    heads = {bare for form in held for bare in without_prefixes(form)}
    return sum(phrase[0] in heads and held.issuperset(phrase[1:]) for phrase in matcher.phrases)


def without_prefixes(form: str) -> Iterator[str]:
    """Yield a form as it is, and without up to three Hebrew prefix letters: what the first word of a phrase may be."""
    yield form
    for length in range(1, min(4, len(form))):
        if form[length - 1] not in _PREFIX_LETTERS:
            return
        yield form[length:]


def placed_matches(text_words: Iterable[Word], matcher: QueryMatcher, offset: int) -> list[Match]:
    """Return the matching ones of a text's words; `offset` is the place of that text in a longer one."""
    placed = list(text_words)
    in_phrase = _places_of_phrases([word.form for word in placed], matcher)
    return [
        Match(word.form, word.start + offset, word.end + offset, in_phrase.get(index, -1))
        for index, word in enumerate(placed)
        if matcher.holds(word.form) or index in in_phrase
    ]


def _places_of_phrases(text_forms: Sequence[str], matcher: QueryMatcher) -> dict[int, int]:
    """Return the places of the words in phrases, each with the phrase's number where it begins and -1 inside."""
    if not matcher.phrases:
        return {}
    by_head: dict[str, list[int]] = {}
    for number, phrase in enumerate(matcher.phrases):
        by_head.setdefault(phrase[0], []).append(number)
    places: dict[int, int] = {}
    for index, form in enumerate(text_forms):
        for number in (number for bare in without_prefixes(form) for number in by_head.get(bare, ())):
            phrase = matcher.phrases[number]
            if tuple(text_forms[index + 1 : index + len(phrase)]) == phrase[1:]:
                for inside in range(index + 1, index + len(phrase)):
                    places.setdefault(inside, -1)
                places[index] = number
    return places


def blocks(text: str, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """Yield the ranges of about `size` characters that make up a text, without splitting a word."""
    start = 0
    while start < len(text):
        end = word_border(text, start, start + size)
        yield start, end
        start = end


def word_border(text: str, start: int, end: int) -> int:
    """Return the last place up to `end` that is outside a word, or `end` itself if the range is one word."""
    if end >= len(text):
        return len(text)
    space = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
    return space if space > start else end


def marked_segments(text: str, matches: Sequence[Match], start: int = 0, end: int | None = None) -> tuple[Segment, ...]:
    """Return text[start:end] as segments, the matching words in segments of their own."""
    end = len(text) if end is None else end
    segments, place = [], start
    for match in matches:
        if match.start < place or match.end > end:
            continue
        segments += [Segment(text[place : match.start]), Segment(text[match.start : match.end], found=True)]
        place = match.end
    segments.append(Segment(text[place:end]))
    return tuple(segment for segment in segments if segment.text)
