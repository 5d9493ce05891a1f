"""The collections that a session may read, with what a person wants to know of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from indexes.access import hidden_collections
from models import Collection, Document

MOST_COLLECTIONS = 500
SEPARATOR = "\n"
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
    """Return the collections, largest first, MOST_COLLECTIONS at most; one statement."""
    newest = select(Document.language, Document.added_at).where(Document.collection_id == Collection.id)
    newest_part = newest.order_by(Document.added_at.desc(), Document.id.desc()).limit(LOOKED_AT).correlate(Collection)
    sample = newest_part.subquery()
    languages = select(func.aggregate_strings(sample.c.language, SEPARATOR)).scalar_subquery()
    last_added = select(func.max(Document.added_at)).where(Document.collection_id == Collection.id).scalar_subquery()
    rows = select(Collection.name, Collection.documents, Collection.is_private, languages, last_added)
    rows = rows.where(Collection.id.not_in(hidden_collections(session)))
    rows = rows.order_by(Collection.documents.desc(), Collection.name).limit(MOST_COLLECTIONS)
    return [
        CollectionRow(name, documents, is_private, _most_used(text or ""), last)
        for name, documents, is_private, text, last in session.execute(rows)
    ]


def _most_used(text: str) -> tuple[str, ...]:
    counts = Counter(filter(None, text.split(SEPARATOR)))
    return tuple(sorted(counts, key=lambda language: (-counts[language], language)))
