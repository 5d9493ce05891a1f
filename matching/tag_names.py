"""An index of a collection's tag names: tags similar to a skill by name, and hashes that find names in a text."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from matching.collection_state import CollectionState
from matching.skills import skill_name
from models import Tag, TagCount
from utils.lru import LRUCache
from utils.name_similarity import NameIndex
from utils.prefix_hashes import PrefixHashes, name_hash, prefix_hashes

# Minimum name similarity for a skill to be close to a tag. Of such pairs in data/skill-pairs.csv 98 of 100 are close;
# taxonomy skills reworded in one way reach it 94 times of 100, in four ways at once 77.
MIN_NAME_SIMILARITY = 0.75
MOST_NAMES = 50_000  # the most used ones of a collection: 0.4 KB and 20 µs each
KEPT_COLLECTIONS = 2
_SPREAD = 1_000_003


@dataclass(frozen=True, slots=True)
class TagNames:
    """A collection's tag names at one version; `tags` is their count and a checksum of their ids.

    `hashes` are the sorted hashes of the names without level and years, and `hashed_tags` their tags. `prefix_hashes`
    are those of each name's first two words, or its only one; None above MOST_NAMES tags: any word may begin a tag.
    """

    name_index: NameIndex
    hashes: PrefixHashes
    hashed_tags: NDArray[np.int64]
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
            fresh = replace(cached, version=state.version)
        else:
            fresh = _read(session, state, tags)
        return _cache.set(state.key, fresh)


def clear_names_cache() -> None:
    """Empty the cache."""
    _cache.clear()


def _read(session: Session, state: CollectionState, tags: tuple[int, int]) -> TagNames:
    rows = select(Tag.id, Tag.name).join_from(TagCount, Tag, Tag.id == TagCount.tag_id)
    rows = rows.where(TagCount.collection_id == state.number).order_by(TagCount.documents.desc()).limit(MOST_NAMES)
    names = {tag: skill_name(name) for tag, name in session.connection().execute(rows)}
    hashes = np.array([name_hash(name) for name in names.values()], np.uint32)
    order = np.argsort(hashes, kind="stable")
    prefixes = prefix_hashes(names.values()) if tags[0] <= MOST_NAMES else None
    return TagNames(
        NameIndex(names.items()), hashes[order], np.array(list(names), np.int64)[order], prefixes, state.version, tags
    )
