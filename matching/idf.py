"""What each tag of a collection weighs: the more, the rarer it is; half of it where it is only nice to have."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.collection_state import Place
from matching.skills import NICE_WEIGHT, is_optional
from models import Tag, TagCount
from utils.lru import Kept
from utils.sql import among

Numbers = NDArray[np.int64]
Weights = NDArray[np.float64]

MOST_KEPT = 100_000  # tags of a collection, 16 bytes each; more are begun anew
KEPT_COLLECTIONS = 4


def rarity(documents: int, of: int) -> float:
    """Return the weight of a tag that `documents` of `of` have: 0.7 for one that all have, more for rare ones."""
    return math.log(1.0 + of / (documents + 0.5))


@dataclass(frozen=True, slots=True)
class _Known:
    """Weights of tags, by their numbers in order, at one version of what is stored."""

    version: int
    tags: Numbers
    weights: Weights


_NONE = _Known(-1, np.zeros(0, np.int64), np.zeros(0))
_kept: Kept[_Known] = Kept(KEPT_COLLECTIONS)
_turn = threading.Lock()


def weights(session: Session, here: Place, tags: Numbers) -> Weights:
    """Return the weight of each tag; those that were asked for since the last change are not read again.

    At most one statement. A tag that no document of the collection has weighs nothing.
    """
    known = _kept.recall(here.key)
    if known is None or known.version != here.version:
        known = _NONE
    wanted = np.unique(tags)
    lacking = wanted[~np.isin(wanted, known.tags, assume_unique=True)]
    if len(known.tags) + len(lacking) > MOST_KEPT:
        known, lacking = _NONE, wanted
    if len(lacking):
        known = _with(known, here, lacking, _read(session, here, lacking))
    return known.weights[np.searchsorted(known.tags, tags)]


def _read(session: Session, here: Place, tags: Numbers) -> dict[int, float]:
    rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == here.number, among(TagCount.tag_id, tags.tolist()))
    return {
        tag: rarity(count, here.documents) * (NICE_WEIGHT if is_optional(name) else 1.0)
        for tag, name, count in session.connection().execute(rows)
    }


def _with(known: _Known, here: Place, tags: Numbers, read: dict[int, float]) -> _Known:
    """Return what is known together with what was read, and keep it."""
    every = np.concatenate((known.tags, tags))
    found = np.concatenate((known.weights, [read.get(tag, 0.0) for tag in tags.tolist()]))
    order = np.argsort(every)
    made = _Known(here.version, every[order], found[order])
    with _turn:
        kept = _kept.recall(here.key)
        if kept is None or kept.version != made.version or len(kept.tags) < len(made.tags):
            _kept.keep(here.key, made)
    return made


def forget() -> None:
    """Let go of all weights; they are read again when they are asked for."""
    _kept.clear()
