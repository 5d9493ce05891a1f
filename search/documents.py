"""One document by its own id, and documents similar to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from indexes.access import hidden_collections, is_hidden
from models import Collection, Document, document_number
from search.hits import hits
from search.matcher import NO_WORDS
from search.query import Query
from search.results import Hit, Ranked
from search.semantic import Semantic
from search.tags import tags_of
from utils.hebrew import is_hebrew
from utils.sql import among

MOST_SIMILAR = 20


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """A document as shown on its page."""

    number: int
    id: str
    collection: str
    title: str
    body: str
    tags: tuple[str, ...]
    language: str
    source: str
    url: str
    licence: str
    extra: dict[str, Any]
    added_at: int
    changed_at: int

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title + " " + self.body[:200]) else "ltr"


def collections(session: Session) -> list[str]:
    """Return the names of the collections with documents that the session may read, largest first."""
    rows = select(Collection.name).where(Collection.documents > 0, Collection.id.not_in(hidden_collections(session)))
    return list(session.execute(rows.order_by(Collection.documents.desc(), Collection.name)).scalars())


def document_page(session: Session, own_id: str, collection: str = "") -> DocumentPage | None:
    """Return the document with this id in the collection or, if none is given, in the largest one that has it.

    None if the session must not read it.
    """
    names = collections(session)
    if collection:
        names = [] if is_hidden(session, collection) else [collection]
    numbers = [document_number(name, own_id) for name in names]
    rows = select(Document, Collection.name).join(Collection, Collection.id == Document.collection_id)
    rows = rows.where(among(Document.id, numbers))
    by_number = {document.id: (document, name) for document, name in session.execute(rows)}
    for number in numbers:
        if number in by_number:
            return _page(session, *by_number[number])
    return None


def _page(session: Session, document: Document, collection: str) -> DocumentPage:
    names = ("title", "body", "language", "source", "url", "licence", "extra", "added_at", "changed_at")
    values: dict[str, Any] = {name: getattr(document, name) for name in names}
    tags = tags_of(session, [document.id])[document.id]
    return DocumentPage(number=document.id, id=document.own_id, collection=collection, tags=tags, **values)


def similar(session: Session, number: int, semantic: Semantic, limit: int) -> tuple[Hit, ...]:
    """Return the documents most similar to a stored one; the model itself is not needed."""
    semantic.model.follow(session)
    result = semantic.similar(session, number)
    if result is None:
        return ()
    query_vector, similarities = result
    ranked: Sequence[Ranked] = [
        Ranked(document, score := query_vector.score(item), semantic=score, start=item.start, end=item.end)
        for document, item in similarities.items()
        if query_vector.is_relevant(item)
    ]
    return hits(session, Query(mode="semantic"), ranked[: min(limit, MOST_SIMILAR)], NO_WORDS)
