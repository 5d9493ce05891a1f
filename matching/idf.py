"""Weights of a collection's tags: inverse document frequency, halved for tags that are nice to have."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.collection_state import CollectionState
from matching.skills import NICE_WEIGHT, is_optional
from models import Tag, TagCount
from utils.lru import LRUCache
from utils.sql import among

Numbers = NDArray[np.int64]
Weights = NDArray[np.float64]

MOST_KEPT = 100_000  # cached tags per collection, 16 bytes each; beyond it the cache starts over
KEPT_COLLECTIONS = 4


def tag_idf(documents: int, of: int) -> float:
    """Return ln(1 + of / (documents + 0.5)): 0.7 for a tag that every document has, more for rare ones."""
    return math.log(1.0 + of / (documents + 0.5))


@dataclass(frozen=True, slots=True)
class _CachedIdf:
    """Weights of tags, sorted by tag id, at one data version."""

    version: int
    tags: Numbers
    weights: Weights


_NONE = _CachedIdf(-1, np.zeros(0, np.int64), np.zeros(0))
_cache: LRUCache[_CachedIdf] = LRUCache(KEPT_COLLECTIONS)
_lock = threading.Lock()


def idf_weights(session: Session, state: CollectionState, tags: Numbers) -> Weights:
    """Return the weight of each tag, 0 for a tag that no document of the collection has.

    At most one statement: weights are cached until the data changes.
    """
    known = _cache.get(state.key)
    if known is None or known.version != state.version:
        known = _NONE
    distinct = np.unique(tags)
    missing = distinct[~np.isin(distinct, known.tags, assume_unique=True)]
    if len(known.tags) + len(missing) > MOST_KEPT:
        known, missing = _NONE, distinct
    if len(missing):
        known = _extended(known, state, missing, _read_weights(session, state, missing))
    return known.weights[np.searchsorted(known.tags, tags)]


def _read_weights(session: Session, state: CollectionState, tags: Numbers) -> dict[int, float]:
    rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == state.number, among(TagCount.tag_id, tags.tolist()))
    return {
        tag: tag_idf(count, state.documents) * (NICE_WEIGHT if is_optional(name) else 1.0)
        for tag, name, count in session.connection().execute(rows)
    }


def _extended(known: _CachedIdf, state: CollectionState, tags: Numbers, idf_by_tag: dict[int, float]) -> _CachedIdf:
    """Return the cached weights with new ones added, and store them in the cache."""
    all_tags = np.concatenate((known.tags, tags))
    weights = np.concatenate((known.weights, [idf_by_tag.get(tag, 0.0) for tag in tags.tolist()]))
    order = np.argsort(all_tags)
    fresh = _CachedIdf(state.version, all_tags[order], weights[order])
    with _lock:
        cached = _cache.get(state.key)
        if cached is None or cached.version != fresh.version or len(cached.tags) < len(fresh.tags):
            _cache.set(state.key, fresh)
    return fresh


def clear_idf_cache() -> None:
    """Empty the cache."""
    _cache.clear()
