"""The skills that a text names: runs of its words that are tags of a collection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from models import Tag, TagCount, number, tag_key, tag_number
from utils.hebrew import stem, words
from utils.sql import among

LONGEST_NAMED = 6  # words of a tag that is looked for in a text
_PARTS = re.compile(r"[\n\r,;!?|•]|\.\s")  # what no name goes across


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
