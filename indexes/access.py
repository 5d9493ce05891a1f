"""Which collections a database session may read; background work and commands read all of them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from indexes.version import bump
from models import Collection, TagCount, number
from utils.sql import upsert

READER, HIDDEN = "reader", "hidden collections"
# Names under which people are imported: such a collection is private from its beginning.
PERSONAL = frozenset(
    {"profiles", "people", "persons", "candidates", "applicants", "employees", "cvs", "resumes"}
    | {"פרופילים", "אנשים", "מועמדים", "מועמדות", "עובדים", "קורות חיים"}
)


@dataclass(frozen=True, slots=True)
class Reader:
    """May read the public collections if `is_public`, and beside them all, or the named ones."""

    is_public: bool = True
    is_all: bool = False
    named: frozenset[str] = frozenset()

    def reads(self, name: str, is_private: bool) -> bool:
        return self.is_all or name in self.named or (self.is_public and not is_private)


def use_reader(session: Session, reader: Reader) -> None:
    """Let a session read what this reader may, from here on."""
    session.info[READER] = reader
    session.info.pop(HIDDEN, None)


def hidden_collections(session: Session) -> tuple[int, ...]:
    """Return the ids of the collections that a session must not read, in order; read once for each reader."""
    reader: Reader | None = session.info.get(READER)
    if reader is None or reader.is_all:
        return ()
    if HIDDEN not in session.info:
        rows = select(Collection.id, Collection.name, Collection.is_private)
        if reader.is_public:
            rows = rows.where(Collection.is_private)
        stored = session.execute(rows.order_by(Collection.id)).all()
        session.info[HIDDEN] = tuple(row.id for row in stored if not reader.reads(row.name, row.is_private))
    hidden: tuple[int, ...] = session.info[HIDDEN]
    return hidden


def is_hidden(session: Session, collection: str) -> bool:
    """Whether a session must not read the collection of this name."""
    return number("collection", collection) in hidden_collections(session)


def is_private_by_default(session: Session, name: str) -> bool:
    """Whether a collection is made private unless its importer says otherwise: a new one that is called by people."""
    return name.casefold() in PERSONAL and session.get(Collection, number("collection", name)) is None


def set_private(session: Session, name: str, is_private: bool) -> None:
    """Make a collection private or public, and commit; it is made if there is none of this name yet."""
    row = {"id": number("collection", name), "name": name, "documents": 0, "is_private": is_private}
    bump(session)  # what searches found before is not what they find now
    upsert(session, Collection.__table__, [row], replace=("is_private",))  # type: ignore[arg-type]
    session.commit()
    session.info.pop(HIDDEN, None)


def tag_is_used(session: Session, tag: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Return the condition that a tag is used in a collection that the session may read."""
    used = exists().where(TagCount.tag_id == tag)
    hidden = hidden_collections(session)
    return used.where(TagCount.collection_id.not_in(hidden)) if hidden else used
