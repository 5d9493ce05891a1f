"""Where one may read about a skill that is missing: documents of other collections that have it as a tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.skills import skill
from models import number, tag_number
from utils.hebrew import is_hebrew
from utils.sql import by_dialect, number_list

MOST_MISSING, MOST_DOCUMENTS = 20, 2
MOST_LOOKED_AT = 20_000  # documents with a tag, among which those of another collection are looked for
MOST_COUNTS, MOST_PLACES = 1_000, 60

# From the tags to the collections that have them: the key of the counts begins with the collection.
COUNTS_SQLITE = """
SELECT tag_count.tag_id, tag_count.documents, collection.id, collection.name FROM json_each(:tags) given
CROSS JOIN collection CROSS JOIN tag_count ON tag_count.collection_id = collection.id AND tag_count.tag_id = given.value
ORDER BY 1, 3 LIMIT :most
"""
COUNTS_POSTGRESQL = """
SELECT given.tag, counted.documents, collection.id, collection.name FROM unnest(:tags) given(tag) CROSS JOIN collection
CROSS JOIN LATERAL (
  SELECT documents FROM tag_count WHERE collection_id = collection.id AND tag_id = given.tag LIMIT 1) counted
ORDER BY 1, 3 LIMIT :most
"""
# A row of this for each tag of a collection: nothing is joined to what it depends on, which no database of several
# servers could spread.
TAGGED = (
    "SELECT * FROM (SELECT {place} AS place, document.own_id, document.title FROM document_tag JOIN document"
    " ON document.id = document_tag.document_id WHERE document_tag.tag_id = {tag}"
    " AND document.collection_id = {collection} LIMIT {most}) found_{place}"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that explains a skill."""

    collection: str
    id: str
    title: str

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title) else "ltr"


def readings(
    session: Session, missing: Sequence[str], apart_from: Iterable[str], aliases: Aliases
) -> dict[str, tuple[Reading, ...]]:
    """Return documents that have a missing skill, or another name of it, as a tag, two of each at most.

    Of the first MOST_MISSING skills; those without a document are left out. The collections `apart_from`, such as the
    jobs themselves, are not looked at. Two statements at most.
    """
    asked = list(dict.fromkeys(missing))[:MOST_MISSING]
    named: dict[int, list[str]] = {}  # two spellings of a skill share their tags
    for name in asked:
        for tag in _tags(name, aliases):
            named.setdefault(tag, []).append(name)
    places = _places(session, list(named), {number("collection", one) for one in apart_from})
    found: dict[str, dict[Reading, None]] = {}
    for place, own_id, title in _tagged(session, places):
        for name in named[places[place].tag]:
            found.setdefault(name, {})[Reading(places[place].collection, own_id, title)] = None
    ordered = {name: sorted(found[name], key=lambda one: (one.collection, one.id)) for name in asked if name in found}
    return {name: tuple(each[:MOST_DOCUMENTS]) for name, each in ordered.items()}


@dataclass(frozen=True, slots=True)
class _Place:
    """A tag in a collection."""

    tag: int
    collection_id: int
    collection: str


def _places(session: Session, tags: Sequence[int], apart: Container[int]) -> list[_Place]:
    """Return where the tags are found soon: their documents' keys are hashes, so that collections lie evenly mixed."""
    if not tags:
        return []
    counts = text(by_dialect(session, sqlite=COUNTS_SQLITE, postgresql=COUNTS_POSTGRESQL))
    rows = session.execute(counts.bindparams(number_list("tags", tags)), {"most": MOST_COUNTS}).all()
    every: Counter[int] = Counter()
    for tag, documents, _, _ in rows:
        every[tag] += documents
    near = [
        _Place(tag, collection, name)
        for tag, documents, collection, name in rows
        if collection not in apart and documents * MOST_LOOKED_AT >= every[tag]
    ]
    return near[:MOST_PLACES]


def _tagged(session: Session, places: Sequence[_Place]) -> Sequence[Any]:
    """Return (place, own id, title) of some documents of each place."""
    if not places:
        return []
    each = [
        TAGGED.format(place=number, tag=one.tag, collection=one.collection_id, most=MOST_DOCUMENTS)
        for number, one in enumerate(places)
    ]
    return session.execute(text(" UNION ALL ".join(each))).all()


def _tags(name: str, aliases: Aliases) -> list[int]:
    key = skill(name, aliases).key
    return list(dict.fromkeys(tag_number(each) for each in (name, key, *aliases.keys(key))))
