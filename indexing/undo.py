"""Undoes an import: documents become what they were before it, unless somebody changed them since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from indexes.merging import SMALL_MERGE, merge_segments
from indexes.version import bump
from indexing.documents import Analysed, delete_uncommitted, write_uncommitted
from indexing.journal import read_image
from models import Document, ImportChange
from utils.sql import among

AT_ONCE = 100


@dataclass(slots=True)
class Undone:
    """Numbers of documents: as they were before, deleted because the import made them, and left as they are."""

    restored: int = 0
    deleted: int = 0
    kept: int = 0


def undo_import(
    session: Session, job_id: int, collection: str, on_done: Callable[[int, int], None] = lambda _done, _total: None
) -> Undone:
    """Undo an import step by step, each committed; an interrupted run may be repeated and goes on.

    `on_done` gets how many documents of how many are done.
    """
    mine = ImportChange.job_id == job_id
    total: int = session.execute(select(func.count()).select_from(ImportChange).where(mine)).scalar_one()
    undone, done = Undone(), 0
    some = select(ImportChange.document_id, ImportChange.after, ImportChange.before).where(mine)
    while changes := session.execute(some.order_by(ImportChange.document_id).limit(AT_ONCE)).all():
        session.rollback()
        _undo_some(session, collection, changes, undone)
        some_ids = [change.document_id for change in changes]
        session.execute(delete(ImportChange).where(mine, among(ImportChange.document_id, some_ids)))
        session.commit()
        done += len(changes)
        on_done(done, total)
    merge_segments(session, SMALL_MERGE)
    return undone


def _undo_some(session: Session, collection: str, changes: Sequence[Any], undone: Undone) -> None:
    """Restore or delete documents that are as the import left them, for the caller to commit."""
    before = {
        change.document_id: Analysed.of(*read_image(change.before)) for change in changes if change.before is not None
    }
    bump(session)  # no one else writes from here on
    ids = [change.document_id for change in changes]
    hashes = select(Document.id, Document.row_hash).where(among(Document.id, ids))
    now = {row.id: row.row_hash for row in session.execute(hashes)}
    mine = [change for change in changes if now.get(change.document_id) == change.after]
    restored = [before[change.document_id] for change in mine if change.document_id in before]
    made = [change.document_id for change in mine if change.document_id not in before and change.after is not None]
    delete_uncommitted(session, made)
    write_uncommitted(session, collection, restored)
    undone.restored += len(restored)
    undone.deleted += len(made)
    undone.kept += len(changes) - len(mine)
