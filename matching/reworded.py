"""Profiles' tags that say in other words what a job asks for, as the gap of one person finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.places import place
from matching.skills import skill
from matching.vocabulary import spellings
from matching.wording import LEAST_ALIKE, names
from models import Tag, TagCount, number

MOST_WORDED = 20_000  # of the profiles' tags, those that most of them have first; 0.1 ms each
NAMES_AT_ONCE = 2_000


def reworded(
    session: Session, jobs: str, profiles: str, asked: Mapping[int, Sequence[int]], aliases: Aliases
) -> dict[int, dict[int, float]]:
    """Return {tag: {place: likeness}} for the profiles' tags that no job has; `asked` are the places by their tags.

    A skill that a job has as a tag is known by that tag alone, and not by words that it shares with others.
    """
    here = place(session, jobs)
    wordings = names(session, here).wordings
    found: dict[int, dict[int, float]] = {}
    for block in _names(session, profiles):
        keys = {tag: skill(name, aliases) for tag, name in block.items()}
        known, _ = spellings(session, here, dict.fromkeys(one.key for one in keys.values()), aliases)
        for tag, one in keys.items():
            if one.key not in known:
                alike = wordings.alike(one.name, LEAST_ALIKE)
                places = {at: alike[other] for other in alike.keys() & asked.keys() for at in asked[other]}
                found |= {tag: places} if places else {}
    return found


def _names(session: Session, profiles: str) -> Iterator[dict[int, str]]:
    """Yield the names of the profiles' tags, those that most of them have first."""
    rows = select(Tag.id, Tag.name).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == number("collection", profiles))
    read = session.execute(rows.order_by(TagCount.documents.desc(), Tag.id).limit(MOST_WORDED)).all()
    for start in range(0, len(read), NAMES_AT_ONCE):
        yield {row.id: row.name for row in read[start : start + NAMES_AT_ONCE]}
