"""Deletes whole collections, in batches that each end within a second."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from indexing.documents import delete_documents
from models import Collection, Document, number

DELETED_AT_ONCE = 500


def delete_collection(session: Session, name: str) -> Iterator[int]:
    """Delete a collection with its documents, and yield how many are deleted so far; each batch is committed.

    What was broken off goes on when it is asked for again; the name is the last to go, and a private one stays private.
    """
    own_number, deleted = number("collection", name), 0
    rows = select(Document.id).where(Document.collection_id == own_number).limit(DELETED_AT_ONCE)
    while numbers := list(session.execute(rows).scalars()):
        deleted += delete_documents(session, numbers)
        yield deleted
    has_documents = select(Document.id).where(Document.collection_id == own_number).exists()
    session.execute(delete(Collection).where(Collection.id == own_number, ~has_documents))  # one may just be written
    session.commit()
    yield deleted
