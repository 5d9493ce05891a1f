"""The data version, which every write advances, and documents written by a release without versions."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import case, select, text, update
from sqlalchemy.orm import Session

from models import Change, Document, State
from utils.terms import INDEX_VERSION

KEYS = 2**63  # document keys are below it
CLOCKS_S = 300  # by which the clocks of two hosts may differ
SNAPSHOT = """
SELECT state.version, state.analysis, state.documents, state.indexed_to, state.indexed_version,
  state.model_id AS chosen_key, model.name AS chosen_name,
  (SELECT count(*) FROM model mine WHERE mine.id = :key) AS has_key,
  (SELECT count(*) FROM model other WHERE other.name = :name) AS has_name
FROM state LEFT JOIN model ON model.id = state.model_id WHERE state.id = 1
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the database as one search sees it: version, totals, and the model in use.

    `has_key` and `has_name` tell whether embeddings are stored under the given key and name.
    """

    version: int
    analysis: int
    documents: int
    indexed_to: int | None = None
    indexed_version: int | None = None
    chosen_key: int | None = None
    chosen_name: str | None = None
    has_key: int = 0
    has_name: int = 0

    @property
    def is_indexing(self) -> bool:
        """Whether the word index lacks documents: after an upgrade, or since a former release wrote some."""
        is_whole = self.indexed_to is None and self.analysis == INDEX_VERSION
        return not is_whole or self.indexed_version != self.version

    @property
    def indexed_percent(self) -> int:
        """Return about how many percent of the documents the index has; their keys are spread evenly."""
        return 100 * max(self.indexed_to or 0, 0) // KEYS


def read_snapshot(session: Session, name: str = "", key: int | None = None) -> Snapshot:
    """Return the current state in one statement; `name` and `key` are those of the model in use."""
    return Snapshot(*session.execute(text(SNAPSHOT), {"name": name, "key": key or 0}).one())


def bump(session: Session) -> int:
    """Return the next version; its row stays locked until commit, so writers are serialized from here on."""
    nothing_owed = State.versioned == State.version
    values = {
        "version": State.version + 1,
        "versioned": case((nothing_owed, State.version + 1), else_=State.versioned),
        "versioned_at": case((nothing_owed, int(time.time())), else_=State.versioned_at),
        "indexed_version": case(
            (State.indexed_version == State.version, State.version + 1), else_=State.indexed_version
        ),
    }
    statement = update(State).where(State.id == 1).values(values)
    version, versioned, at = session.execute(
        statement.returning(State.version, State.versioned, State.versioned_at),
        execution_options={"synchronize_session": False},
    ).one()
    if versioned != version:
        _catch_up(session, version, versioned, at)
    return int(version)


def caught_up(session: Session) -> int:
    """Return the current version, after stamping documents that lack one; commits if there were any.

    A former release beside this one, or in its place for a while, advances the version and writes none to documents:
    what asks for what is new would pass them over.
    """
    version, versioned = session.execute(select(State.version, State.versioned).where(State.id == 1)).one()
    if versioned != version:
        version = bump(session)
        session.commit()
    return int(version)


def _catch_up(session: Session, version: int, versioned: int | None, at: int | None) -> None:
    """Stamp documents that a former release wrote after `versioned` with this version.

    New ones have the column's default; changed ones are in the log of changes, as embedded ones are, which were
    written earlier.
    """
    if versioned is not None and at is not None:
        logged = select(Change.document_id).where(Change.version > versioned, Change.version < version)
        after = at - CLOCKS_S
        for written in (
            (Document.added_at >= after, Document.version == 0),
            (Document.id.in_(logged), Document.changed_at >= after, Document.version <= versioned),
        ):
            session.execute(
                update(Document).where(*written).values(version=version),
                execution_options={"synchronize_session": False},
            )
    known = update(State).where(State.id == 1).values(versioned=version, versioned_at=int(time.time()))
    session.execute(known, execution_options={"synchronize_session": False})
