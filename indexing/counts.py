"""Counts of tags and documents, kept in the same transaction as the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from models import Collection, Document, DocumentTag, State, TagCount
from utils.sql import among, upsert


def add_tags(session: Session, numbers: Sequence[int], sign: int) -> None:
    """Count the documents' tags by collection, up or down; counts that reach zero are deleted."""
    counted = session.execute(
        select(Document.collection_id, DocumentTag.tag_id, func.count())
        .join(Document, Document.id == DocumentTag.document_id)
        .where(among(DocumentTag.document_id, numbers))
        .group_by(Document.collection_id, DocumentTag.tag_id)
    ).all()
    rows = [{"collection_id": c, "tag_id": tag, "documents": sign * count} for c, tag, count in sorted(counted)]
    upsert(session, TagCount.__table__, rows, add=("documents",))  # type: ignore[arg-type]
    if sign < 0:
        theirs = among(TagCount.tag_id, {row["tag_id"] for row in rows})
        session.execute(delete(TagCount).where(TagCount.documents <= 0, theirs))


def add_total(session: Session, documents: int) -> None:
    session.execute(update(State).where(State.id == 1).values(documents=State.documents + documents))


def take_from_collections(session: Session, collections: Iterable[int]) -> None:
    """Decrease the collections' counts, once per occurrence."""
    for collection, documents in Counter(collections).items():
        change = {"documents": Collection.documents - documents}
        session.execute(update(Collection).where(Collection.id == collection).values(change))
