"""The skills that a text names: runs of its words that are tags of a collection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import place
from matching.tag_names import names
from models import Tag, TagCount, tag_key, tag_number
from utils.hebrew import Word, stem, words
from utils.prefix_hashes import Beginnings, beginning
from utils.sql import among

LONGEST_NAMED = 6  # words of a tag that is looked for in a text
_PARTS = re.compile(r"[\n\r,;!?|•]|\.\s")  # what no name goes across


def named_skills(session: Session, collection: str, said: str, most: int, aliases: Aliases) -> list[str]:
    """Return the collection's tags that stand in a text, in its order, the longest at each place."""
    here = place(session, collection)
    known = names(session, here).beginnings
    if known is not None:
        known = np.union1d(known, aliases.beginnings)
    runs = _runs(said, aliases, known)
    rows = select(Tag.id, Tag.name).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == here.number, among(TagCount.tag_id, runs))
    named = {row.id: row.name for row in session.execute(rows)} if runs else {}
    places = {place: named[tag] for tag in named for place in runs[tag]}
    return list(dict.fromkeys(_longest(places)))[:most]


def _runs(said: str, aliases: Aliases, known: Beginnings | None) -> dict[int, list[tuple[int, int]]]:
    """Return the runs of words by the tag that they would name: half-open ranges of words."""
    found: dict[int, list[tuple[int, int]]] = {}
    numbers: dict[str, int] = {}
    parted = list(words(said))
    for start, is_one, is_more in _starts(parted, known):
        first = parted[start]
        for end in range(start + 1, min(start + LONGEST_NAMED, len(parted)) + 1):
            if end > start + 1 and (not is_more or _PARTS.search(said, parted[end - 2].end, parted[end - 1].start)):
                break
            if end == start + 1 and not is_one:
                continue
            for name in _spelled(tag_key(said[first.start : parted[end - 1].end]), first.form):
                for key in dict.fromkeys((name, *aliases.keys(aliases.key(name)))):
                    if key not in numbers:
                        numbers[key] = tag_number(key)
                    found.setdefault(numbers[key], []).append((start, end))
    return found


def _starts(parted: Sequence[Word], known: Beginnings | None) -> Iterator[tuple[int, bool, bool]]:
    """Yield the places of words that may begin a name, whether of this word alone, and whether of more.

    A text of 100,000 characters has 80,000 runs: nine of ten begin as no name does, and need not be made.
    """
    if known is None or not parted:
        yield from ((start, True, True) for start in range(len(parted)))
        return
    after = [*(word.form for word in parted[1:]), ""]
    ones = _is_known([(word.form,) for word in parted], known)
    more = _is_known([(word.form, other) for word, other in zip(parted, after, strict=True)], known)
    for start in np.flatnonzero(ones | more).tolist():
        yield start, bool(ones[start]), bool(more[start])


def _is_known(begun: Sequence[tuple[str, ...]], known: Beginnings) -> NDArray[np.bool_]:
    """Tell which beginnings are known, with the first word's prefix letters or without."""
    whole = [beginning(*words) for words in begun]
    bare = [
        beginning(stripped, *words[1:]) if (stripped := _bare(words[0])) != words[0] else hashed
        for words, hashed in zip(begun, whole, strict=True)
    ]
    return np.isin(np.array(whole, np.uint32), known) | np.isin(np.array(bare, np.uint32), known)


def _bare(form: str) -> str:
    return stem(form) if "א" <= form[0] <= "ת" else form


def _spelled(key: str, first: str) -> tuple[str, ...]:
    """Return what a run may name: itself, and in Hebrew itself without the prefix letters of its first word."""
    bare = _bare(first)
    return (key,) if bare == first or not key.startswith(first) else (key, bare + key[len(first) :])


def _longest(places: Mapping[tuple[int, int], str]) -> Iterator[str]:
    """Yield the names of runs from left to right, none of which lies in a longer one before it."""
    end = 0
    for start, stop in sorted(places, key=lambda place: (place[0], -place[1])):
        if start >= end:
            yield places[start, stop]
            end = stop
