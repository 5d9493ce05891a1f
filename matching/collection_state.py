"""The size and version of the collection that matching reads; caches are checked against them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from indexes.access import is_hidden
from indexes.filters import Filter
from models import Collection, Document, State, number
from utils.sql import among
from utils.terms import filter_term

RECHECK_S = 30.0
NO_COLLECTION = -1


@dataclass(frozen=True, slots=True)
class CollectionState:
    """A collection and its database: name, id, document counts, and the version of the stored data."""

    name: str
    number: int
    documents: int
    all_documents: int
    version: int
    database: str

    @property
    def key(self) -> tuple[str, int]:
        """Return a key that is unique among the databases of a process."""
        return self.database, self.number


@dataclass(frozen=True, slots=True)
class CollectionFilter(Filter):
    """Documents of one collection: their count is known, and candidates are checked by primary key."""

    held: int = 0

    @classmethod
    def of_state(cls, state: CollectionState) -> CollectionFilter:
        condition = "EXISTS (SELECT 1 FROM document own WHERE own.id = {column} AND own.collection_id = :collection_id)"
        required = (filter_term(state.number),)
        return cls((condition,), {"collection_id": state.number}, required, held=state.documents)

    def count(self, session: Session, most: int) -> int:  # noqa: ARG002 - known without a query
        return min(self.held, most)

    def documents(self, session: Session, most: int) -> list[int]:
        rows = select(Document.id).where(Document.collection_id == self.values["collection_id"])
        # Sorted in Python: with ORDER BY, SQLite would read every document in the database.
        return sorted(session.execute(rows.limit(most)).scalars())


def collection_state(session: Session, collection: str) -> CollectionState:
    """Return a collection's current state, with 0 documents if there is none that the session may read."""
    collection_id = NO_COLLECTION if is_hidden(session, collection) else number("collection", collection)
    rows = select(State.version, State.documents, Collection.documents).join_from(
        State, Collection, Collection.id == collection_id, isouter=True
    )
    version, everything, documents = session.execute(rows).one()
    database = str(session.connection().engine.url)
    return CollectionState(collection, collection_id, documents or 0, everything, version, database)


def own_documents(session: Session, state: CollectionState, documents: Sequence[int]) -> list[int]:
    """Return those of the documents that belong to the collection, in the same order; at most one statement."""
    if state.documents == state.all_documents:
        return list(documents)
    rows = select(Document.id).where(among(Document.id, documents), Document.collection_id == state.number)
    own = set(session.execute(rows).scalars())
    return [document for document in documents if document in own]


class FilledCollection:
    """Whether a collection has documents; queries the database at most every RECHECK_S seconds."""

    def __init__(self, collection: str) -> None:
        self._collection, self._checked_at, self._is_filled = collection, 0.0, False

    def is_filled(self, session: Session) -> bool:
        """Return the cached answer while it is fresh or the database is unavailable; False if it must not be read."""
        try:
            if is_hidden(session, self._collection):
                return False
        except SQLAlchemyError:
            session.rollback()
            return False
        if not self._checked_at or time.monotonic() - self._checked_at >= RECHECK_S:
            try:
                self._is_filled = collection_size(session, self._collection) > 0
            except SQLAlchemyError:
                session.rollback()
            self._checked_at = time.monotonic()
        return self._is_filled


def collection_size(session: Session, collection: str) -> int:
    """Return the number of documents in a collection."""
    return collection_state(session, collection).documents
