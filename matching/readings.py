"""Further reading about missing skills: documents of other collections that are tagged with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from indexes.access import hidden_collections
from matching.aliases import Aliases
from matching.skills import skill
from models import number, tag_number
from utils.hebrew import is_hebrew
from utils.sql import by_dialect, number_list

MOST_MISSING, MOST_DOCUMENTS = 20, 2
MOST_LOOKED_AT = 20_000  # documents of a tag scanned for one of another collection
MOST_COUNTS, MOST_PLACES = 1_000, 60

# From tags to collections: the primary key of tag_count begins with the collection.
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
# One subquery per tag and collection, without correlation: Citus cannot distribute correlated subqueries.
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
    """Return up to two documents tagged with each missing skill or one of its aliases; at most two statements.

    Considers the first MOST_MISSING skills and skips the collections `apart_from`, such as the jobs themselves. Skills
    without a document are left out.
    """
    names = list(dict.fromkeys(missing))[:MOST_MISSING]
    names_by_tag: dict[int, list[str]] = {}  # two spellings of a skill share their tags
    for name in names:
        for tag in _tag_numbers(name, aliases):
            names_by_tag.setdefault(tag, []).append(name)
    apart = {number("collection", name) for name in apart_from}.union(hidden_collections(session))
    places = _tag_places(session, list(names_by_tag), apart)
    documents: dict[str, dict[Reading, None]] = {}
    for place, own_id, title in _tagged(session, places):
        for name in names_by_tag[places[place].tag]:
            documents.setdefault(name, {})[Reading(places[place].collection, own_id, title)] = None
    return {
        name: tuple(sorted(documents[name], key=lambda reading: (reading.collection, reading.id))[:MOST_DOCUMENTS])
        for name in names
        if name in documents
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """A tag in a collection."""

    tag: int
    collection_id: int
    collection: str


def _tag_places(session: Session, tags: Sequence[int], apart: Container[int]) -> list[_Place]:
    """Return the tags and collections whose documents are found quickly: document ids are hashes, so evenly mixed."""
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
    """Return (place, own id, title) of up to MOST_DOCUMENTS documents of each place."""
    if not places:
        return []
    each = [
        TAGGED.format(place=number, tag=place.tag, collection=place.collection_id, most=MOST_DOCUMENTS)
        for number, place in enumerate(places)
    ]
    return session.execute(text(" UNION ALL ".join(each))).all()


def _tag_numbers(name: str, aliases: Aliases) -> list[int]:
    key = skill(name, aliases).key
    return list(dict.fromkeys(tag_number(each) for each in (name, key, *aliases.keys(key))))
