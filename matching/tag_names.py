"""A collection's tags by the words of their names: what a skill in other words means, and which words begin a tag."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from matching.collection_state import Place
from matching.skills import skill_name
from models import Tag, TagCount
from utils.lru import Kept
from utils.name_similarity import Wordings
from utils.prefix_hashes import Beginnings, beginnings

# From so alike on, a skill that is no tag is close to one by its words. Of data/skill-pairs.csv 98 of 100 such pairs
# are close; of skills of the taxonomy that were reworded in one way 94 of 100 reach it, in four ways at once 77.
LEAST_ALIKE = 0.75
MOST_NAMES = 50_000  # of a collection, the most used ones: 0.4 KB each, read in 20 µs
KEPT_COLLECTIONS = 2
_SPREAD = 1_000_003


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a collection's tags at a version, as told by a sum over the tags' numbers.

    `beginnings` are the hashes of their first two words, or of the one, sorted; None where there are more than
    MOST_NAMES tags, so that any words may begin one.
    """

    wordings: Wordings
    beginnings: Beginnings | None
    version: int
    tags: tuple[int, int]


_kept: Kept[Names] = Kept(KEPT_COLLECTIONS)
_turn = threading.Lock()


def names(session: Session, here: Place) -> Names:
    """Return the names of a collection's tags; no statement where nothing changed since, two at most."""
    with _turn:
        found = _kept.recall(here.key)
        if found is not None and found.version == here.version:
            return found
        summed = select(func.count(), func.coalesce(func.sum(TagCount.tag_id % _SPREAD), 0))
        count, total = session.execute(summed.where(TagCount.collection_id == here.number)).one()
        tags = int(count), int(total)
        if found is not None and found.tags == tags:
            fresh = Names(found.wordings, found.beginnings, here.version, tags)
        else:
            read = _read(session, here)
            whole = tags[0] <= MOST_NAMES
            fresh = Names(Wordings(_named(read)), beginnings(read.values()) if whole else None, here.version, tags)
        return _kept.keep(here.key, fresh)


def forget() -> None:
    """Let go of all names; they are read again when they are asked for."""
    _kept.clear()


def _read(session: Session, here: Place) -> dict[int, str]:
    rows = select(Tag.id, Tag.name).join_from(TagCount, Tag, Tag.id == TagCount.tag_id)
    rows = rows.where(TagCount.collection_id == here.number).order_by(TagCount.documents.desc()).limit(MOST_NAMES)
    return {row[0]: row[1] for row in session.connection().execute(rows)}


def _named(read: dict[int, str]) -> Iterable[tuple[int, str]]:
    return ((tag, skill_name(name)) for tag, name in read.items())


def alike(session: Session, here: Place, skills: Sequence[str]) -> list[dict[int, float]]:
    """Return for each skill the collection's tags that say the same in other words, with LEAST_ALIKE to 1."""
    if not skills:
        return []
    wordings = names(session, here).wordings
    return [wordings.alike(name, LEAST_ALIKE) for name in skills]
