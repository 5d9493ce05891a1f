"""A collection's tags by the words of their names: what a skill in other words means, with a model or without."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from matching.places import Place
from matching.skills import skill_name
from models import Tag, TagCount
from utils.kept import Kept
from utils.wordings import Wordings

# From so alike on, a skill that is no tag is close to one by its words. Of data/skill-pairs.csv 97 of 100 such pairs
# are close; half of the skills that were reworded in four ways at once, and nine of ten reworded in two, reach it.
LEAST_ALIKE = 0.75
MOST_NAMES = 50_000  # of a collection, the most used ones: 0.4 KB each, read in 20 µs
KEPT_COLLECTIONS = 2
BETWEEN_READS_S = 10.0  # while an import runs, every request would read them anew


@dataclass(frozen=True, slots=True)
class _Read:
    """The wordings of so many tags as they were at a version, and when they were last compared with the database."""

    wordings: Wordings
    version: int
    tags: int
    at_s: float


_kept: Kept[_Read] = Kept(KEPT_COLLECTIONS)
_turn = threading.Lock()


def alike(session: Session, here: Place, names: Sequence[str]) -> list[dict[int, float]]:
    """Return for each name the collection's tags that say the same in other words, with a likeness of LEAST_ALIKE to 1.

    Where nothing changed, no statement is needed; else two at most.
    """
    if not names:
        return []
    wordings = _wordings(session, here)
    return [wordings.alike(name, LEAST_ALIKE) for name in names]


def _wordings(session: Session, here: Place) -> Wordings:
    with _turn:
        read = _kept.recall(here.key)
        now = time.monotonic()
        if read is not None and (read.version == here.version or now - read.at_s < BETWEEN_READS_S):
            return read.wordings
        counted = select(func.count()).select_from(TagCount).where(TagCount.collection_id == here.number)
        tags = session.execute(counted).scalar_one()
        # A tag's number follows from its name: where there are as many as before, they are taken for the same.
        if read is None or read.tags != tags:
            read = _Read(_fresh(session, here), here.version, tags, now)
        return _kept.keep(here.key, _Read(read.wordings, here.version, tags, now)).wordings


def _fresh(session: Session, here: Place) -> Wordings:
    most = select(TagCount.tag_id).where(TagCount.collection_id == here.number)
    most = most.order_by(TagCount.documents.desc()).limit(MOST_NAMES)
    rows = select(Tag.id, Tag.name).where(Tag.id.in_(most))
    return Wordings((tag, skill_name(name)) for tag, name in session.connection().execute(rows))
