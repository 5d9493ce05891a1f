"""A collection's tags by their names: those similar to a skill, and those mentioned in a text."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import CollectionState, collection_state
from matching.skills import skill_name
from models import Tag, TagCount, tag_key, tag_number
from utils.hebrew import Word, stem, words
from utils.lru import LRUCache
from utils.name_similarity import NameIndex
from utils.prefix_hashes import PrefixHashes, prefix_hash, prefix_hashes
from utils.sql import among

# Minimum name similarity for a skill to be close to a tag. Of such pairs in data/skill-pairs.csv 98 of 100 are close;
# taxonomy skills reworded in one way reach it 94 times of 100, in four ways at once 77.
MIN_NAME_SIMILARITY = 0.75
MOST_NAMES = 50_000  # the most used ones of a collection: 0.4 KB and 20 µs each
KEPT_COLLECTIONS = 2
_SPREAD = 1_000_003


@dataclass(frozen=True, slots=True)
class TagNames:
    """A collection's tag names at one version; `tags` is their count and a checksum of their ids.

    `prefix_hashes` are the sorted hashes of each name's first two words, or its only one; None above MOST_NAMES tags,
    when any word may begin a tag.
    """

    name_index: NameIndex
    prefix_hashes: PrefixHashes | None
    version: int
    tags: tuple[int, int]


_cache: LRUCache[TagNames] = LRUCache(KEPT_COLLECTIONS)
_lock = threading.Lock()


def indexed_names(session: Session, state: CollectionState) -> TagNames:
    """Return a collection's tag names; no statement if the data has not changed, else at most two."""
    with _lock:
        cached = _cache.get(state.key)
        if cached is not None and cached.version == state.version:
            return cached
        summed = select(func.count(), func.coalesce(func.sum(TagCount.tag_id % _SPREAD), 0))
        count, total = session.execute(summed.where(TagCount.collection_id == state.number)).one()
        tags = int(count), int(total)
        if cached is not None and cached.tags == tags:
            fresh = TagNames(cached.name_index, cached.prefix_hashes, state.version, tags)
        else:
            names = _read_names(session, state)
            hashes = prefix_hashes(names.values()) if tags[0] <= MOST_NAMES else None
            fresh = TagNames(NameIndex(_skill_names(names)), hashes, state.version, tags)
        return _cache.set(state.key, fresh)


def clear_names_cache() -> None:
    """Empty the cache."""
    _cache.clear()


def _read_names(session: Session, state: CollectionState) -> dict[int, str]:
    rows = select(Tag.id, Tag.name).join_from(TagCount, Tag, Tag.id == TagCount.tag_id)
    rows = rows.where(TagCount.collection_id == state.number).order_by(TagCount.documents.desc()).limit(MOST_NAMES)
    return {row[0]: row[1] for row in session.connection().execute(rows)}


def _skill_names(names: dict[int, str]) -> Iterable[tuple[int, str]]:
    return ((tag, skill_name(name)) for tag, name in names.items())


LONGEST_NAMED = 6  # words of the longest tag that is recognized in a text
_PARTS = re.compile(r"[\n\r,;!?|•]|\.\s")  # a tag does not span these


def named_skills(session: Session, collection: str, text: str, most: int, aliases: Aliases) -> list[str]:
    """Return the collection's tags mentioned in a text, in text order, the longest match at each place."""
    state = collection_state(session, collection)
    prefixes = indexed_names(session, state).prefix_hashes
    if prefixes is not None:
        prefixes = np.union1d(prefixes, aliases.prefix_hashes)
    runs = _word_runs(text, aliases, prefixes)
    rows = select(Tag.id, Tag.name).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == state.number, among(TagCount.tag_id, runs))
    names_by_tag = {row.id: row.name for row in session.execute(rows)} if runs else {}
    places = {place: names_by_tag[tag] for tag in names_by_tag for place in runs[tag]}
    return list(dict.fromkeys(_longest(places)))[:most]


def _word_runs(text: str, aliases: Aliases, prefixes: PrefixHashes | None) -> dict[int, list[tuple[int, int]]]:
    """Return the half-open ranges of words that would name each tag."""
    runs: dict[int, list[tuple[int, int]]] = {}
    numbers: dict[str, int] = {}
    parted = list(words(text))
    for start, is_one, is_more in _starts(parted, prefixes):
        first = parted[start]
        for end in range(start + 1, min(start + LONGEST_NAMED, len(parted)) + 1):
            if end > start + 1 and (not is_more or _PARTS.search(text, parted[end - 2].end, parted[end - 1].start)):
                break
            if end == start + 1 and not is_one:
                continue
            for name in _spelled(tag_key(text[first.start : parted[end - 1].end]), first.form):
                for key in dict.fromkeys((name, *aliases.keys(aliases.key(name)))):
                    if key not in numbers:
                        numbers[key] = tag_number(key)
                    runs.setdefault(numbers[key], []).append((start, end))
    return runs


def _starts(parted: Sequence[Word], prefixes: PrefixHashes | None) -> Iterator[tuple[int, bool, bool]]:
    """Yield (start, whether the word alone may be a tag, whether it may begin a longer one).

    A text of 100,000 characters has 80,000 runs; the prefix hashes rule out nine of ten.
    """
    if prefixes is None or not parted:
        yield from ((start, True, True) for start in range(len(parted)))
        return
    after = [*(word.form for word in parted[1:]), ""]
    ones = _is_known([(word.form,) for word in parted], prefixes)
    more = _is_known([(word.form, other) for word, other in zip(parted, after, strict=True)], prefixes)
    for start in np.flatnonzero(ones | more).tolist():
        yield start, bool(ones[start]), bool(more[start])


def _is_known(begun: Sequence[tuple[str, ...]], prefixes: PrefixHashes) -> NDArray[np.bool_]:
    """Return which word prefixes are known, with or without the Hebrew prefix letters of the first word."""
    whole = [prefix_hash(*words) for words in begun]
    bare = [
        prefix_hash(stripped, *words[1:]) if (stripped := _bare(words[0])) != words[0] else hashed
        for words, hashed in zip(begun, whole, strict=True)
    ]
    return np.isin(np.array(whole, np.uint32), prefixes) | np.isin(np.array(bare, np.uint32), prefixes)


def _bare(form: str) -> str:
    return stem(form) if "א" <= form[0] <= "ת" else form


def _spelled(key: str, first: str) -> tuple[str, ...]:
    """Return the keys that a run may name: its own and, in Hebrew, without the first word's prefix letters."""
    bare = _bare(first)
    return (key,) if bare == first or not key.startswith(first) else (key, bare + key[len(first) :])


def _longest(places: Mapping[tuple[int, int], str]) -> Iterator[str]:
    """Yield the names of the longest runs from left to right, without overlaps."""
    end = 0
    for start, stop in sorted(places, key=lambda place: (place[0], -place[1])):
        if start >= end:
            yield places[start, stop]
            end = stop
