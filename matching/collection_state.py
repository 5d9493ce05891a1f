"""The collection that matching reads: how large it is and how new, which what is kept of it is held against."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from indexes.filters import Filter
from models import Collection, Document, State, number
from utils.sql import among

RECHECK_S = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """A collection of one database by its name and number, with its documents and the version of all that is stored."""

    name: str
    number: int
    documents: int
    all_documents: int
    version: int
    database: str

    @property
    def key(self) -> tuple[str, int]:
        """Return what it is known by among the databases of a process."""
        return self.database, self.number


@dataclass(frozen=True, slots=True)
class Inside(Filter):
    """A collection of which it is known how many documents it has; found documents are looked up one by one."""

    held: int = 0

    @classmethod
    def of_place(cls, here: Place) -> Inside:
        condition = "EXISTS (SELECT 1 FROM document own WHERE own.id = {column} AND own.collection_id = :collection_id)"
        return cls((condition,), {"collection_id": here.number}, here.documents)

    def count(self, session: Session, most: int) -> int:  # noqa: ARG002 - the collection says it
        return min(self.held, most)

    def documents(self, session: Session, most: int) -> list[int]:
        rows = select(Document.id).where(Document.collection_id == self.values["collection_id"])
        # Sorted here: asked for in order, SQLite would read every document there is.
        return sorted(session.execute(rows.limit(most)).scalars())


def place(session: Session, collection: str) -> Place:
    """Return a collection as it is now, one without documents where there is none; one statement."""
    here = number("collection", collection)
    rows = select(State.version, State.documents, Collection.documents).join_from(
        State, Collection, Collection.id == here, isouter=True
    )
    version, everything, documents = session.execute(rows).one()
    return Place(collection, here, documents or 0, everything, version, str(session.connection().engine.url))


def own_documents(session: Session, here: Place, documents: Sequence[int]) -> list[int]:
    """Return those of the documents that the collection has, in their order; one statement at most."""
    if here.documents == here.all_documents:
        return list(documents)
    rows = select(Document.id).where(among(Document.id, documents), Document.collection_id == here.number)
    own = set(session.execute(rows).scalars())
    return [one for one in documents if one in own]


class FilledCollection:
    """Whether a collection has documents, asked of the database every RECHECK_S seconds at most."""

    def __init__(self, collection: str) -> None:
        self._collection, self._checked_at, self._is_filled = collection, 0.0, False

    def is_filled(self, session: Session) -> bool:
        """Return the last answer while it is fresh, and while the database does not answer."""
        if not self._checked_at or time.monotonic() - self._checked_at >= RECHECK_S:
            try:
                self._is_filled = size(session, self._collection) > 0
            except SQLAlchemyError:
                session.rollback()
            self._checked_at = time.monotonic()
        return self._is_filled


def size(session: Session, collection: str) -> int:
    """Return how many documents a collection has."""
    return place(session, collection).documents
