"""Deletes the documents of a collection that a file no longer has."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexing.documents import delete_documents
from indexing.journal import Journal
from models import Document, State, document_number, number

LOOKED_AT, DELETED_AT_ONCE = 10_000, 500


class FileDocuments:
    """The documents that a file has, as far as its rows tell; 8 bytes each."""

    def __init__(self, session: Session, collection: str) -> None:
        self._collection = collection
        self._keys = array("q")
        self._version: int = session.execute(select(State.version)).scalar_one()
        session.rollback()
        self.unknown = 0  # refused rows that do not tell which document they are

    def add(self, own_id: str) -> None:
        """Note the document of a row, also of one that is refused; a refused one may have no ID."""
        if own_id:
            self._keys.append(document_number(self._collection, own_id))
        else:
            self.unknown += 1

    def delete_others(
        self, session: Session, on_deleted: Callable[[int], None] = lambda _: None, journal: Journal | None = None
    ) -> int:
        """Delete the collection's other documents that were there before, and return how many; 0 while any is unknown.

        `on_deleted` gets the number so far; if it raises, the rest stays.
        """
        if self.unknown or not self._keys:
            return 0
        deleted = 0
        for keys in self._others(session):
            for start in range(0, len(keys), DELETED_AT_ONCE):
                deleted += delete_documents(session, keys[start : start + DELETED_AT_ONCE], journal)
                on_deleted(deleted)
        return deleted

    def _others(self, session: Session) -> Iterator[list[int]]:
        keys = np.unique(np.frombuffer(self._keys, np.int64))
        was_there = Document.collection_id == number("collection", self._collection), Document.version <= self._version
        last = -1
        while True:
            some = select(Document.id).where(*was_there, Document.id > last).order_by(Document.id).limit(LOOKED_AT)
            stored = np.array(session.execute(some).scalars().all(), np.int64)
            session.rollback()
            if not len(stored):
                return
            last = int(stored[-1])
            yield stored[~np.isin(stored, keys)].tolist()
