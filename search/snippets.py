"""The passage of a text that best shows why it matched, with the matching words marked in their original spelling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from search.query import QueryParts
from search.results import Segment
from utils.hebrew import Word, forms, stem, words

LENGTH = 240  # characters
LEAD_IN = 40  # characters shown before the first match
BLOCK = 4_000  # characters of a long text that are looked at together
# Blocks of one text whose words are placed, which costs ten times as much as reading them: a bound on CPU for books
# whose blocks all look better than the best passage so far.
MOST_PLACED = 24
PHRASE_WEIGHT = 100.0  # a passage with an exact phrase comes before any without
_PREFIX_LETTERS = frozenset("ושכלבמה")
_PREFIXES = tuple(
    conjunction + relative + letter
    for conjunction in ("", "ו")
    for relative in ("", "כש", "לכש", "ש")
    for letter in ("", "ב", "ל", "ה", "מה")
)


@dataclass(frozen=True, slots=True)
class QueryMatcher:
    """The folded forms that match a query, with their weights, and its phrases as sequences of folded words.

    `word_of` names the query word that a form stands for; forms of one word count once in a passage. A form that is
    missing from it stands for itself.
    """

    forms: Mapping[str, float]
    phrases: tuple[tuple[str, ...], ...] = ()
    word_of: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.forms or self.phrases)

    def holds(self, form: str) -> bool:
        return form in self.forms

    def query_words(self, text: str) -> set[str]:
        """Return the query words that a text has."""
        return {self.word_of.get(form, form) for form in forms(text) if form in self.forms}

    @property
    def reach(self) -> int:
        """Return how many characters a phrase may run on past the end of a block, niqqud and spaces included."""
        return max((4 * len(" ".join(phrase)) for phrase in self.phrases), default=0)

    def best_possible(self) -> float:
        """Return the score of a passage with every phrase and every word of the query."""
        return self.score(self.forms) + PHRASE_WEIGHT * len(self.phrases)

    def score(self, held: Iterable[str]) -> float:
        """Return the sum of the weights of the query words among the forms, each by its heaviest form."""
        weights: dict[str, float] = {}
        for form in held:
            if form in self.forms:
                word = self.word_of.get(form, form)
                weights[word] = max(weights.get(word, 0.0), self.forms[form])
        return sum(weights.values())


def matcher_of(parts: QueryParts) -> QueryMatcher:
    """Return the matcher of a parsed query: each word with the prefixes and endings that its stem allows."""
    typed = parts.forms()
    matching: dict[str, float] = {}
    word_of: dict[str, str] = {}
    for base in dict.fromkeys(map(stem, typed)):
        for form in (base, *related_forms(base)):
            matching.setdefault(form, 0.8)
            word_of.setdefault(form, base)
    return QueryMatcher(matching | dict.fromkeys(typed, 1.0), tuple(map(tuple, parts.exact())), word_of)


def related_forms(base: str) -> Iterator[str]:
    """Yield the forms whose stem is `base`."""
    is_hebrew = "א" <= base[0] <= "ת"
    endings = () if is_hebrew else (f"{base}s", f"{base[:-1]}ies")
    for form in (*(prefix + base for prefix in _PREFIXES), *endings):
        if form != base and stem(form) == base:
            yield form


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
    return not held.isdisjoint(matcher.forms) or any(holds_all(held, phrase) for phrase in matcher.phrases)


def holds_all(held: set[str], phrase: tuple[str, ...]) -> bool:
    return held.issuperset(phrase[1:]) and any(_begins(form, phrase) for form in held)


def _begins(form: str, phrase: tuple[str, ...]) -> bool:
    """Whether a word is the first of a phrase, bare or behind Hebrew prefix letters."""
    first = phrase[0]
    return form == first or (
        len(form) - len(first) in (1, 2, 3) and form.endswith(first) and _PREFIX_LETTERS.issuperset(form[: -len(first)])
    )


def placed_matches(text_words: Iterable[Word], matcher: QueryMatcher, offset: int) -> list[Match]:
    """Return the matching ones of a text's words; `offset` is the place of that text in a longer one."""
    placed = list(text_words)
    in_phrase: dict[int, int] = {}
    for number, phrase in enumerate(matcher.phrases):
        for index in range(len(placed) - len(phrase) + 1):
            following = placed[index + 1 : index + len(phrase)]
            if _begins(placed[index].form, phrase) and all(
                word.form == form for word, form in zip(following, phrase[1:], strict=True)
            ):
                in_phrase |= dict.fromkeys(range(index, index + len(phrase)), -1) | {index: number}
    return [
        Match(word.form, word.start + offset, word.end + offset, in_phrase.get(index, -1))
        for index, word in enumerate(placed)
        if index in in_phrase or matcher.holds(word.form)
    ]


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
            end = min(border + self.matcher.reach, len(text))
            held = set(forms(text[start:end]))
            if may_match(held, self.matcher) and _highest(held, self.matcher) > self.score:
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


def _highest(held: set[str], matcher: QueryMatcher) -> float:
    """Return what a passage of a text with these words can score at most."""
    return matcher.score(held) + PHRASE_WEIGHT * sum(holds_all(held, phrase) for phrase in matcher.phrases)


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
