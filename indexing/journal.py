"""Keeps what an import changes: of each document how it was before, and by which hash it is known after."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, delete, exists, select
from sqlalchemy.orm import Session

from indexing.archive import json_row, stored_row
from indexing.backup import DOCUMENT, document_tag_names
from models import Document, ImportChange, Job
from utils.sql import among, upsert

UNDOABLE = 10  # imports, the newest; what older ones changed is forgotten
CHANGES: Table = ImportChange.__table__  # type: ignore[assignment]


class Journal:
    """What one import changes."""

    def __init__(self, job_id: int) -> None:
        self._job_id = job_id

    def note(self, session: Session, hashes: Mapping[int, bytes | None], changed: Sequence[int]) -> None:
        """Note documents before they change: their hashes after it, None if deleted, and which of them exist.

        Where an import meets a document twice, what was before the first time counts.
        """
        before = images(session, changed)
        rows = [
            {"job_id": self._job_id, "document_id": document, "after": after, "before": before.get(document)}
            for document, after in hashes.items()
        ]
        upsert(session, CHANGES, rows, replace=("after",))


def images(session: Session, documents: Sequence[int]) -> dict[int, bytes]:
    """Return documents with their tags as bytes, which `read_image` reads."""
    if not documents:
        return {}
    rows = session.execute(select(DOCUMENT).where(among(Document.id, documents))).all()
    tags = document_tag_names(session, [row.id for row in rows])
    names = DOCUMENT.columns.keys()
    return {
        row.id: zlib.compress(
            json.dumps([dict(zip(names, json_row(DOCUMENT, row), strict=True)), tags.get(row.id, [])]).encode()
        )
        for row in rows
    }


def read_image(image: bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the row of a document, and its tags."""
    row, tags = json.loads(zlib.decompress(image))
    return stored_row(DOCUMENT, row), tuple(tags)


def can_undo(session: Session, job_id: int) -> bool:
    changes = exists(select(1).where(ImportChange.job_id == job_id))
    return bool(session.execute(select(changes)).scalar_one())


def forget_old_changes(session: Session) -> None:
    """Delete what all but the newest imports changed; the caller commits."""
    newest = select(Job.id).where(Job.kind == "import").order_by(Job.updated_at.desc(), Job.id).limit(UNDOABLE)
    kept = session.execute(newest).scalars().all()
    session.execute(delete(ImportChange).where(ImportChange.job_id.not_in(kept)))
