"""The collection that matching reads: how large it is and how new, which what is kept of it is held against."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Collection, State, number


@dataclass(frozen=True, slots=True)
class Place:
    """A collection of one database by its name and number, with its documents and the version of all that is stored."""

    name: str
    number: int
    documents: int
    version: int
    database: str

    @property
    def key(self) -> tuple[str, int]:
        """Return what it is known by among the databases of a process."""
        return self.database, self.number


def place(session: Session, collection: str) -> Place:
    """Return a collection as it is now, one without documents where there is none; one statement."""
    here = number("collection", collection)
    rows = select(State.version, Collection.documents).join_from(State, Collection, Collection.id == here, isouter=True)
    version, documents = session.execute(rows).one()
    return Place(collection, here, documents or 0, version, str(session.connection().engine.url))


def size(session: Session, collection: str) -> int:
    """Return how many documents a collection has."""
    return place(session, collection).documents
