"""Skills mentioned in a text, such as a CV: runs of its words that name a tag of a collection.

A run names a tag by the tag's name without level and years, by an alias, behind a Hebrew prefix letter, or in another
number. Names of one or two Latin letters are also words, so they need evidence around them; what a sentence says that
somebody lacks is no skill.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import collection_state
from matching.skills import qualifier, skill_name
from matching.tag_names import indexed_names
from models import Tag, TagCount, tag_key, tag_number
from utils.hebrew import Word, is_hebrew, words
from utils.prefix_hashes import PrefixHashes, loose_name, name_hash, prefix_hash
from utils.sql import among

LONGEST_MENTION = 6  # words of the longest tag that is recognized in a text
LEAST_BARE, LONGEST_PREFIX = 3, 4  # letters of a Hebrew word behind its prefix, and of the prefix
_PREFIXES = re.compile("ו?(?:לכש|מש|כש|ש)?[הבלמכ]?ה?")
_BREAK = re.compile(r"[\n\r,;!?|•]|\.\s")  # a tag does not span these
_SYMBOLS = ".#"  # that may begin a name, as in .NET
_GERSHAYIM = re.compile('(?<=[א-ת])["״“”](?=[א-ת])')
_SHORT = re.compile(r"[A-Za-z]{1,2}")
_SENTENCE_START = re.compile(r"(?:^|[.!?:\n\r•*]|^\s*[-–—])\s*$")
_LIST_START = re.compile(r"(?:^|[.!?]\s|[,;:/|•*(\n\r–—]|-\s|\s(?:and|or|ו))\s*$")
_LIST_END = re.compile(r"\s*(?:$|[,;/|•*)\n\r–—]|\.(?:\s|$)|-\s|(?:and|or)\s|ו-?[A-Za-z])")
_EVIDENCE = re.compile(
    r"languages?|program\w*|cod(?:e|ing)|script\w*|develop\w*|שפ(?:ה|ת|ות)|תכנות|מפתחת?|מתכנתת?", re.IGNORECASE
)
_NEAR = re.compile(r"\S+")
_LACK = re.compile(
    r"\b(?:no|not|never|without|lack(?:s|ing)?|don['’]t|do not|does not|haven['’]t|ללא|בלי|אין|חסרת?|חוסר|לא)\s+"
    r"(?:(?!only\b|רק\b)[\w'’]+\s+){0,3}?"
    r"(?:experience\w*|knowledge|background|familiar\w*|know|used?|worked|ב?ניסיון|ב?נסיון|ידע|היכרות|רקע|מכירה?|יודעת?|עבדתי|התנסיתי)\b",
    re.IGNORECASE,
)
_LACK_END = re.compile(r"[.!?;](?:\s|$)|[\n\r]|\b(?:but|however|yet|although|אבל|אך|אולם)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[\n\r;!?]|\.\s")
LONGEST_REMARK = 60  # characters before or after a mention that may state its level or years


@dataclass(frozen=True, slots=True)
class Mention:
    """A skill that a text names: its name, and how the text qualifies it, such as `5 years` or `senior`."""

    name: str
    qualifier: str = ""

    @property
    def skill(self) -> str:
        return f"{self.name} ({self.qualifier})" if self.qualifier else self.name


@dataclass(frozen=True, slots=True)
class _Run:
    """Words of a text that may name a tag: a half-open range of words, and the keys that they may be."""

    start: int
    end: int
    key: str
    is_bare: bool = False  # without the Hebrew prefix letters of its first word


def mentions(session: Session, collection: str, text: str, most: int, aliases: Aliases) -> list[Mention]:
    """Return the skills of a collection that a text names, in its order, the longest at each place; one statement."""
    reader = _Reader(text, aliases)
    state = collection_state(session, collection)
    names = indexed_names(session, state)
    tags = reader.tags(names.prefix_hashes, names.hashes, names.hashed_tags)
    rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == state.number, among(TagCount.tag_id, tags))
    stored = {row.id: (row.name, row.documents) for row in session.execute(rows)} if tags else {}
    places = reader.named({tag: runs for tag, runs in tags.items() if tag in stored}, stored)
    found: dict[str, Mention] = {}
    for place, name in _longest(places):
        mention = reader.mention(place, name)
        earlier = found.get(name)
        if earlier is None or (mention.qualifier and not earlier.qualifier):
            found[name] = mention
    return list(found.values())[:most]


class _Reader:
    """One text, its words, and the clauses that say what somebody lacks."""

    def __init__(self, text: str, aliases: Aliases) -> None:
        self._text, self._aliases = text, aliases
        self._words = list(words(text))
        self._lacking = list(_lacking(text))

    def tags(
        self, prefixes: PrefixHashes | None, hashes: PrefixHashes, hashed_tags: NDArray[np.int64]
    ) -> dict[int, list[_Run]]:
        """Return the runs that may name each tag: by the key that the tag would have, or by a hash of its name."""
        tags: dict[int, list[_Run]] = defaultdict(list)
        loose: list[tuple[int, _Run]] = []
        numbers: dict[str, int] = {}
        for run in self._runs(prefixes):
            for key in self._synonyms(run.key):
                if key not in numbers:
                    numbers[key] = tag_number(key)
                tags[numbers[key]].append(run)
                loose.append((name_hash(key), run))
        wanted = np.array([value for value, _ in loose], np.uint32)
        first, end = (np.searchsorted(hashes, wanted, side) for side in ("left", "right"))
        for place in np.flatnonzero(end > first).tolist():
            for tag in hashed_tags[first[place] : end[place]].tolist():
                tags[tag].append(loose[place][1])
        return tags

    def named(
        self, tags: Mapping[int, Sequence[_Run]], stored: Mapping[int, tuple[str, int]]
    ) -> dict[tuple[int, int], str]:
        """Return the name of the best tag at each place that names one: the exact one, in the text's own language."""
        best: dict[tuple[int, int], tuple[tuple[bool, bool, bool, bool, int], str]] = {}
        for tag, runs in tags.items():
            stored_name, count = stored[tag]
            name = skill_name(stored_name)
            for run in runs:
                place = run.start, run.end
                if self._begins_alike(name, run) and (rank := self._rank(name, stored_name, run, count)) is not None:
                    best[place] = min(best.get(place, (rank, name)), (rank, name))
        certain = {place: name for place, (_, name) in best.items() if not self._is_short(place)}
        short = [place for place in best if self._is_short(place)]
        listed = {place for place in short if self._is_listed(place, {*best})}
        for place in short:
            if place in listed or self._is_evident(place, best[place][1]):
                certain[place] = best[place][1]
        return certain

    def mention(self, place: tuple[int, int], name: str) -> Mention:
        """Return the skill at a place with the level and years that its clause states beside it."""
        start, end = self._span(place)
        before = _CLAUSE.split(self._text[max(start - LONGEST_REMARK, 0) : start])[-1]
        after = _CLAUSE.split(self._text[end : end + LONGEST_REMARK])[0]
        return Mention(name, qualifier(before, after))

    def _runs(self, prefixes: PrefixHashes | None) -> Iterator[_Run]:
        """Yield the runs of words that may name something, those that lack it excepted."""
        for start, is_one, is_more in _starts(self._words, prefixes, self._aliases.prefix_hashes):
            first = self._words[start]
            if any(low <= first.start < high for low, high in self._lacking):
                continue
            for end in range(start + 1, min(start + LONGEST_MENTION, len(self._words)) + 1):
                if end > start + 1 and (not is_more or self._is_broken(end)):
                    break
                if end > start + 1 or is_one:
                    yield from self._keys(start, end)

    def _is_broken(self, end: int) -> bool:
        return bool(_BREAK.search(self._text, self._words[end - 2].end, self._words[end - 1].start))

    def _keys(self, start: int, end: int) -> Iterator[_Run]:
        first = self._words[start]
        low, high = self._span((start, end))
        key = tag_key(self._text[low:high])
        if low < first.start:
            yield _Run(start, end, key)
        plain = tag_key(self._text[first.start : high])
        yield _Run(start, end, plain)
        if plain.startswith(first.form):
            rest = plain[len(first.form) :]
            yield from (_Run(start, end, bare + rest, is_bare=True) for bare in bare_forms(first.form))

    def _synonyms(self, key: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((key, *self._aliases.keys(self._aliases.key(key)))))

    def _span(self, place: tuple[int, int]) -> tuple[int, int]:
        """Return the characters of a run, with a symbol that begins it."""
        low, high = self._words[place[0]].start, self._words[place[1] - 1].end
        has_symbol = low and self._text[low - 1] in _SYMBOLS and (low == 1 or not self._text[low - 2].isalnum())
        return (low - 1 if has_symbol else low), high

    def _begins_alike(self, name: str, run: _Run) -> bool:
        """Whether a name that begins with a symbol does so in the text, or is an alias: a net is no .NET."""
        return name[:1] not in _SYMBOLS or run.key[:1] in _SYMBOLS or tag_key(name) != f".{run.key}"

    def _rank(self, name: str, stored: str, run: _Run, count: int) -> tuple[bool, bool, bool, bool, int] | None:
        """Return how well a run names a tag, the least the best; None if only their hashes agree."""
        key = tag_key(name)
        synonyms = self._synonyms(run.key)
        if key not in synonyms:
            if loose_name(key) not in map(loose_name, synonyms):
                return None
            if " " not in key and len(run.key) <= len(key):
                return None  # one word in the plural may name a tag in the singular, but a sale is not `sales`
        surface = self._text[slice(*self._span((run.start, run.end)))]
        if key == run.key and _GERSHAYIM.search(name) and not _GERSHAYIM.search(surface):
            return None  # מש״א is human resources, משא a burden
        return (
            key != run.key, is_hebrew(name) != is_hebrew(surface), run.is_bare, stored != name, -count,
        )  # fmt: skip

    def _is_short(self, place: tuple[int, int]) -> bool:
        return bool(_SHORT.fullmatch(self._text[slice(*self._span(place))]))

    def _is_listed(self, place: tuple[int, int], named: set[tuple[int, int]]) -> bool:
        """Whether a short name stands by itself between separators, next to another name or after a label."""
        low, high = self._span(place)
        if not (_LIST_START.search(self._text[max(low - 20, 0) : low]) and _LIST_END.match(self._text, high)):
            return False
        others = {other for other in named if other != place}
        beside = any(place[0] - 1 <= end <= place[0] or place[1] <= start <= place[1] + 1 for start, end in others)
        return beside or bool(_EVIDENCE.search(self._text[max(low - 40, 0) : low].rsplit("\n", 1)[-1]))

    def _is_evident(self, place: tuple[int, int], name: str) -> bool:
        """Whether a short name is written as a name in a sentence: one letter beside a word such as `language`."""
        low, high = self._span(place)
        surface = self._text[low:high]
        if len(surface) == 1:
            beside = self._text[max(low - 30, 0) : low].split()[-2:] + self._text[high : high + 30].split()[:1]
            return surface == name and any(_EVIDENCE.match(word.strip("(,.:")) for word in beside)
        if surface.isupper():
            return not self._text[max(low - 20, 0) : high + 20].isupper()
        return surface == name and surface[0].isupper() and not _SENTENCE_START.search(self._text[:low])


def _lacking(text: str) -> Iterator[tuple[int, int]]:
    """Yield the ranges of characters that follow a statement such as `no experience with`."""
    for match in _LACK.finditer(text):
        end = _LACK_END.search(text, match.end())
        yield match.end(), end.start() if end else len(text)


def _starts(
    parted: Sequence[Word], prefixes: PrefixHashes | None, of_aliases: PrefixHashes
) -> Iterator[tuple[int, bool, bool]]:
    """Yield (start, whether the word alone may be a tag, whether it may begin a longer one).

    A text of 100,000 characters has 80,000 runs; the prefix hashes rule out nine of ten.
    """
    if prefixes is None or not parted:
        yield from ((start, True, True) for start in range(len(parted)))
        return
    known = np.union1d(prefixes, of_aliases)
    forms = [word.form for word in parted]
    ones = _is_known([(form,) for form in forms], known)
    more = _is_known([tuple(forms[place : place + 2]) for place in range(len(forms))], known)
    for start in np.flatnonzero(ones | more).tolist():
        yield start, bool(ones[start]), bool(more[start])


def _is_known(begun: Sequence[tuple[str, ...]], prefixes: PrefixHashes) -> NDArray[np.bool_]:
    """Return which word prefixes are known, with or without Hebrew prefix letters of the first word."""
    hashes = [
        (place, prefix_hash(form, *words[1:]))
        for place, words in enumerate(begun)
        for form in (words[0], *bare_forms(words[0]))
    ]
    places, values = np.array(hashes, np.int64).reshape(-1, 2).T
    known = np.zeros(len(begun), np.bool_)
    known[places[np.isin(values, prefixes)]] = True
    return known


@lru_cache(maxsize=8_192)
def bare_forms(form: str) -> tuple[str, ...]:
    """Return what is left of a folded Hebrew word behind each run of letters that may be prefixes."""
    if not "א" <= form[0] <= "ת":
        return ()
    ends = range(1, min(len(form) - LEAST_BARE, LONGEST_PREFIX) + 1)
    return tuple(form[end:] for end in ends if _PREFIXES.fullmatch(form, 0, end))


def _longest(places: Mapping[tuple[int, int], str]) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield the longest runs from left to right, without overlaps."""
    end = 0
    for start, stop in sorted(places, key=lambda place: (place[0], -place[1])):
        if start >= end:
            yield (start, stop), places[start, stop]
            end = stop
