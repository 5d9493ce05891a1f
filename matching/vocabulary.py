"""What a collection calls the skills of a person: the very tags, those close in meaning, those that a text names."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from encoders.turns import EncoderAway
from matching.aliases import Aliases
from matching.skills import Skill, skill
from models import Collection, Tag, TagCount, number, tag_key, tag_number
from search.semantic import Semantic
from utils.hebrew import stem, words
from utils.sql import among, by_dialect

CLOSE_SHARE = 0.5  # MRR of profiles .975; .970 by 0.7 and .966 by 1
LONGEST_NAMED = 6  # words of a tag that is looked for in a text
_PARTS = re.compile(r"[\n\r,;!?|•]|\.\s")  # what no name goes across
MOST_SPELLINGS = 4_000
MOST_UNKNOWN = 40  # skills that are no tag anywhere, which only the model can compare

# Tags that begin with a skill's key, up to the first character that cannot follow it as a word of its own: a range of
# the index each. `python` and `python (senior)` are between `python` and `python-`, and `pythonic` is not.
SPELLINGS = """
SELECT tag.id, tag.name, tag_count.documents FROM {given} JOIN tag
  ON tag.key >= given.value AND tag.key < given.value || '-'
JOIN tag_count ON tag_count.tag_id = tag.id AND tag_count.collection_id = :collection
ORDER BY length(tag.key), tag.id LIMIT :most
"""
GIVEN_SQLITE = "json_each(:keys) given CROSS"
GIVEN_POSTGRESQL = "jsonb_array_elements_text(CAST(:keys AS jsonb)) AS given(value) INNER"


@dataclass(frozen=True, slots=True)
class Match:
    """A skill of a person that answers a tag: exactly (strength 1), or close in meaning (its closeness)."""

    skill: Skill
    kind: str
    strength: float

    @property
    def worth(self) -> float:
        """Return what the match adds: a close one half its closeness."""
        return self.strength if self.kind == "exact" else CLOSE_SHARE * self.strength


@dataclass(frozen=True, slots=True)
class Known:
    """The tags of a collection that a person's skills answer, each with its best match, and how rare they are."""

    matches: Mapping[int, Match] = field(default_factory=dict)
    rarity: Mapping[int, float] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    is_whole: bool = True  # False where the model was not ready for skills that only it can compare


def rarity(documents: int, of: int) -> float:
    """Return the weight of a tag that `documents` of `of` have: 0.7 for one that all have, more for rare ones."""
    return math.log(1.0 + of / (documents + 0.5))


def size(session: Session, collection: str) -> int:
    """Return how many documents a collection has."""
    rows = select(Collection.documents).where(Collection.id == number("collection", collection))
    return int(session.execute(rows).scalar() or 0)


def known(session: Session, semantic: Semantic, collection: str, skills: Sequence[Skill], aliases: Aliases) -> Known:
    """Return what of a collection's tags the skills answer; the statements are as many whatever there is."""
    documents = size(session, collection)
    spelled = spellings(session, collection, skills, aliases)
    # A skill is compared as the collection spells it: that is stored, and needs no model.
    names = {one.key: name for one, name, _ in reversed(spelled.values())}
    near, is_whole = close(session, semantic, [(names.get(one.key, one.name), one) for one in skills])
    counts = {tag: count for tag, (_, _, count) in spelled.items()}
    counts |= _counts(session, collection, [tag for tag in near if tag not in counts])
    matches = {tag: match for tag, match in near.items() if tag in counts}
    matches |= {tag: Match(one, "exact", 1.0) for tag, (one, _, _) in spelled.items()}
    return Known(matches, {tag: rarity(counts[tag], documents) for tag in matches}, counts, is_whole)


def close(
    session: Session, semantic: Semantic, named: Sequence[tuple[str, Skill]], among_tags: Sequence[int] | None = None
) -> tuple[dict[int, Match], bool]:
    """Return tags close in meaning to named skills, each with the closest skill; and whether all could be compared."""
    by_tag = {tag_number(name): (name, one) for name, one in named}
    try:
        semantic.follow(session)
        names = [name for name, _ in by_tag.values()]
        found, is_whole = semantic.close_tags(session, names, among_tags, MOST_UNKNOWN)
    except EncoderAway as away:
        semantic.note(away)
        return {}, False
    best: dict[int, Match] = {}
    for key, tags in found.items():
        for tag, closeness in tags.items():
            if tag not in best or closeness > best[tag].strength:
                best[tag] = Match(by_tag[key][1], "close", closeness)
    return best, is_whole or semantic.is_off


def spellings(
    session: Session, collection: str, skills: Sequence[Skill], aliases: Aliases
) -> dict[int, tuple[Skill, str, int]]:
    """Return the collection's tags that are one of the skills however written, shortest first, with their counts."""
    by_key = {one.key: one for one in skills}
    keys = [key for one in skills for key in aliases.keys(one.key)]
    given = by_dialect(session, sqlite=GIVEN_SQLITE, postgresql=GIVEN_POSTGRESQL)
    values = {"keys": json.dumps(keys), "collection": number("collection", collection), "most": MOST_SPELLINGS}
    rows = session.execute(text(SPELLINGS.format(given=given)), values) if keys else ()
    understood = ((tag, name, skill(name, aliases).key, count) for tag, name, count in rows)
    return {tag: (by_key[key], name, count) for tag, name, key, count in understood if key in by_key}


def _counts(session: Session, collection: str, tags: Sequence[int]) -> dict[int, int]:
    rows = select(TagCount.tag_id, TagCount.documents).where(
        TagCount.collection_id == number("collection", collection), among(TagCount.tag_id, tags)
    )
    return {row.tag_id: row.documents for row in session.execute(rows)} if tags else {}


def named_skills(session: Session, collection: str, said: str, most: int, aliases: Aliases) -> list[str]:
    """Return the collection's tags that stand in a text, in its order, the longest at each place; one statement."""
    runs = _runs(said, aliases)
    here = number("collection", collection)
    rows = select(Tag.id, Tag.name).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == here, among(Tag.id, runs))
    names = {row.id: row.name for row in session.execute(rows)} if runs else {}
    places = {place: names[tag] for tag in names for place in runs[tag]}
    return list(dict.fromkeys(_longest(places)))[:most]


def _runs(said: str, aliases: Aliases) -> dict[int, list[tuple[int, int]]]:
    """Return the runs of words by the tag that they would name: half-open ranges of words."""
    found: dict[int, list[tuple[int, int]]] = {}
    numbers: dict[str, int] = {}
    parted = list(words(said))
    for start, first in enumerate(parted):
        for end in range(start + 1, min(start + LONGEST_NAMED, len(parted)) + 1):
            if end > start + 1 and _PARTS.search(said, parted[end - 2].end, parted[end - 1].start):
                break
            for name in _spelled(tag_key(said[first.start : parted[end - 1].end]), first.form):
                for key in dict.fromkeys((name, *aliases.keys(aliases.key(name)))):
                    if key not in numbers:
                        numbers[key] = tag_number(key)
                    found.setdefault(numbers[key], []).append((start, end))
    return found


def _spelled(key: str, first: str) -> tuple[str, ...]:
    """Return what a run may name: itself, and in Hebrew itself without the prefix letters of its first word."""
    bare = stem(first) if "א" <= first[0] <= "ת" else first
    return (key,) if bare == first or not key.startswith(first) else (key, bare + key[len(first) :])


def _longest(places: Mapping[tuple[int, int], str]) -> Iterator[str]:
    """Yield the names of runs from left to right, none of which lies in a longer one before it."""
    end = 0
    for start, stop in sorted(places, key=lambda place: (place[0], -place[1])):
        if start >= end:
            yield places[start, stop]
            end = stop
