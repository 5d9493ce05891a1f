"""The collections that a session may read, with what a person wants to know of each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from indexes.access import hidden_collections
from models import Collection, Document

MOST_COLLECTIONS = 500
LOOKED_AT = 200  # of its newest documents, for their languages


@dataclass(frozen=True, slots=True)
class CollectionRow:
    """A collection: the languages are those of its newest documents, most used first; times are seconds since 1970."""

    name: str
    documents: int
    is_private: bool
    languages: tuple[str, ...]
    last_added_at: int | None


def collection_rows(session: Session) -> list[CollectionRow]:
    """Return the collections, largest first, MOST_COLLECTIONS at most; a small statement for each."""
    stored = select(Collection).where(Collection.id.not_in(hidden_collections(session)))
    rows = session.execute(
        stored.order_by(Collection.documents.desc(), Collection.name).limit(MOST_COLLECTIONS)
    ).scalars()
    return [_described(session, row) for row in rows]


def _described(session: Session, row: Collection) -> CollectionRow:
    newest = select(Document.language, Document.added_at).where(Document.collection_id == row.id)
    newest_part = newest.order_by(Document.added_at.desc(), Document.id.desc()).limit(LOOKED_AT).subquery()
    counted = select(newest_part.c.language, func.count(), func.max(newest_part.c.added_at))
    counted = counted.group_by(newest_part.c.language).order_by(func.count().desc(), newest_part.c.language)
    found = session.execute(counted).all()
    languages = tuple(language for language, _, _ in found if language)
    last = max((added for _, _, added in found), default=None)
    return CollectionRow(row.name, row.documents, row.is_private, languages, last)
