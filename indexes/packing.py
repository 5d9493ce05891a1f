"""Packs the stored embeddings of a model in segments: those that are there, then what changes; merges small segments.

Every step is a transaction of its own that continues where the previous one stopped, in whichever process. It counts
only if no other process has taken the same step.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Table, delete, func, select, text, update
from sqlalchemy.orm import Session

from indexes.choice import version_of
from indexes.embedding_segments import (
    Packed,
    PackedGone,
    PackedSegment,
    current_documents,
    kept_documents,
    packed_heads,
    packed_segments,
    packed_state,
    read_kept_rows,
)
from indexes.embedding_space import DOCUMENT_SOURCE, EXACT_ROWS, EmbeddingSpace, StoredRow
from models import KEPT_CHANGES, EmbeddingSegment, PackedEmbeddings
from utils.bit_rows import BitRows
from utils.sql import upsert

ROWS_AT_ONCE = 8_192
MOST_CHANGES = 4_000  # documents of one step
LEAST_CHANGES = 500  # documents for which a segment is written: fewer are read row by row
MOST_ROWS = 65_536  # of a segment
FAN_OUT = 8  # neighbouring segments of a tier that are merged
TIERS = (4_096, 32_768)  # rows below which a segment belongs to the tier; larger ones are full
MOST_SUPERSEDED = 0.3  # share of documents from which on a segment is written anew
CHANGES = "SELECT version, document_id FROM change WHERE version > :seen ORDER BY version, document_id LIMIT :most"
OF_VERSION = "SELECT document_id FROM change WHERE version = :version ORDER BY document_id"


def pack_embeddings(session: Session, space: EmbeddingSpace, stop: threading.Event | None = None) -> int:
    """Pack what is not packed yet, and return the number of documents; few embeddings are not worth it."""
    if DOCUMENT_SOURCE.count(session, space.model, EXACT_ROWS + 1) <= EXACT_ROWS:
        session.rollback()
        return 0
    total = 0
    while stop is None or not stop.is_set():
        count = _step(session, space)
        session.rollback()
        if count is None:
            break
        total += count
        while _merge_once(session, space):
            pass
    return total


def needs_packing(session: Session, space: EmbeddingSpace) -> bool:
    """Whether the embeddings that are stored are not packed, or not all of them."""
    packed = packed_state(session, space)
    is_whole = packed is not None and packed.packed_to is None
    return not is_whole and DOCUMENT_SOURCE.count(session, space.model, EXACT_ROWS + 1) > EXACT_ROWS


def drop_packed(session: Session, model: int) -> None:
    """Delete what is packed of a model."""
    session.execute(delete(PackedEmbeddings).where(PackedEmbeddings.model_id == model))
    session.execute(delete(EmbeddingSegment).where(EmbeddingSegment.model_id == model))


def _step(session: Session, space: EmbeddingSpace) -> int | None:
    """Take the next step, and return the number of documents it packed; None if nothing is due."""
    packed = packed_state(session, space)
    version = version_of(session)
    if packed is None or version - packed.version >= KEPT_CHANGES:
        packed = _begin(session, space, version)
    if packed.packed_to is not None:
        return _pack_range(session, space, packed, packed.packed_to)
    return _pack_changes(session, space, packed, version)


def _begin(session: Session, space: EmbeddingSpace, version: int) -> Packed:
    packed = Packed(secrets.randbits(62), version, -1)
    drop_packed(session, space.model)
    row = {"model_id": space.model, "basis": space.basis, "epoch": packed.epoch, "version": version, "packed_to": -1}
    # Another process may begin at the same time: what it packed is packed again.
    upsert(session, PackedEmbeddings.__table__, [row], replace=("basis", "epoch", "version", "packed_to"))  # type: ignore[arg-type]
    session.commit()
    return packed


def _pack_range(session: Session, space: EmbeddingSpace, packed: Packed, after: int) -> int:
    """Pack the documents whose keys follow `after`."""
    rows = DOCUMENT_SOURCE.page(session, space.model, (after, 2**15), ROWS_AT_ONCE)
    packed_to = None
    if len(rows) == ROWS_AT_ONCE:  # the last document may have more rows
        last = rows[-1][0]
        rows = [row for row in rows if row[0] != last]
        packed_to = rows[-1][0]
    keys = sorted({row[0] for row in rows})
    is_first = _advance(session, space, packed, Packed(packed.epoch, packed.version, packed_to))
    if is_first and rows:
        _write_rows(session, space, keys, rows)
    session.commit()
    return len(keys) if is_first else 0


def _pack_changes(session: Session, space: EmbeddingSpace, packed: Packed, version: int) -> int | None:
    """Pack documents that changed after what is packed, if they are enough; None if not."""
    if version == packed.version:
        return None
    changes = session.execute(text(CHANGES), {"seen": packed.version, "most": MOST_CHANGES}).all()
    keys = sorted({row.document_id for row in changes})
    if len(changes) == MOST_CHANGES:  # the last version may have more
        version = changes[-1].version
        of_last = set(session.execute(text(OF_VERSION), {"version": version}).scalars())
        keys = sorted(of_last.union(keys))
    elif len(keys) < LEAST_CHANGES and version - packed.version < KEPT_CHANGES // 2:
        return None
    rows = sorted(DOCUMENT_SOURCE.rows(session, space.model, keys)) if keys else []
    if _advance(session, space, packed, Packed(packed.epoch, version, None)) and keys:
        _write_rows(session, space, keys, rows)
    session.commit()
    return len(keys)


def _advance(session: Session, space: EmbeddingSpace, packed: Packed, then: Packed) -> bool:
    """Record a step; False if another process took it. Its row stays locked until commit."""
    as_read = (
        PackedEmbeddings.model_id == space.model,
        PackedEmbeddings.epoch == packed.epoch,
        PackedEmbeddings.version == packed.version,
        PackedEmbeddings.packed_to.is_not_distinct_from(packed.packed_to),
    )
    values = {"version": then.version, "packed_to": then.packed_to}
    advanced = session.execute(update(PackedEmbeddings).where(*as_read).values(values))
    return bool(advanced.rowcount)  # type: ignore[attr-defined]


def _write_rows(session: Session, space: EmbeddingSpace, keys: Sequence[int], rows: Sequence[StoredRow]) -> None:
    """Write a segment of documents with their rows; a document without rows is one that was deleted."""
    documents = np.array(keys, np.int64)
    counts = np.bincount(np.searchsorted(documents, [row[0] for row in rows]), minlength=len(documents))
    newest = select(func.coalesce(func.max(EmbeddingSegment.number), 0))
    number = session.execute(newest.where(EmbeddingSegment.model_id == space.model)).scalar_one() + 1
    _write_segment(session, space.model, number, documents, counts, space.bit_rows([row[2] for row in rows]))


def _write_segment(
    session: Session, model: int, number: int, keys: NDArray[np.int64], counts: NDArray[np.int64], rows: BitRows
) -> None:
    row = {
        "id": secrets.randbits(62), "model_id": model, "number": number, "documents": len(keys), "rows": rows.size,
        "heads": packed_heads(keys, counts), "data": rows.tobytes(),
    }  # fmt: skip
    table: Table = EmbeddingSegment.__table__  # type: ignore[assignment]
    session.execute(table.insert(), [row])


def rewrite_without(session: Session, model: int, segment: PackedSegment, document: int, dim: int) -> None:
    """Replace a segment by one without a document; the caller commits. Raises PackedGone."""
    kept = segment.keys != document
    rows = read_kept_rows(session, segment, kept, dim)
    session.execute(delete(EmbeddingSegment).where(EmbeddingSegment.id == segment.id))
    if kept.any():
        _write_segment(session, model, segment.number, segment.keys[kept], segment.counts[kept], rows)


def _merge_once(session: Session, space: EmbeddingSpace) -> bool:
    """Merge neighbouring segments, or write one anew, if that is due."""
    segments = packed_segments(session, space.model)
    current = current_documents(segments)
    due = due_to_merge(segments, current)
    if due is None:
        session.rollback()
        return False
    merged = segments[due]
    # A document without rows hides what older segments have of it: the oldest needs none.
    kept = [mask & (segment.counts > 0) if due.stop == len(segments) else mask
            for segment, mask in zip(merged, current[due], strict=True)]  # fmt: skip
    try:
        parts = [read_kept_rows(session, each, mask, space.dim) for each, mask in zip(merged, kept, strict=True)]
    except PackedGone:
        session.rollback()
        return True
    ids = [segment.id for segment in merged]
    deleted = session.execute(delete(EmbeddingSegment).where(EmbeddingSegment.id.in_(ids)))
    if deleted.rowcount != len(ids):  # type: ignore[attr-defined]
        session.rollback()  # another process merged them
        return True
    keys, counts = kept_documents(merged, kept)
    if len(keys):
        _write_segment(session, space.model, merged[0].number, keys, counts, joined(parts))
    session.commit()
    return True


def joined(parts: Sequence[BitRows]) -> BitRows:
    """Return the rows of several, one after another."""
    columns = zip(*(part.arrays for part in parts), strict=True)
    return BitRows(*(np.concatenate(arrays, axis=-1) for arrays in columns))


def due_to_merge(segments: Sequence[PackedSegment], current: Sequence[NDArray[np.bool_]]) -> slice | None:
    """Return neighbouring segments that should become one, or one that should be written anew; None if all is well.

    Only neighbours: what is newer than one of them must be newer than the merged one.
    """
    for bound in TIERS:
        run: list[int] = []
        for place, segment in enumerate(segments):
            run = [*run, place][-FAN_OUT:] if segment.rows < bound else []
            if len(run) == FAN_OUT and sum(segments[each].rows for each in run) <= MOST_ROWS:
                return slice(run[0], run[-1] + 1)
    for place, mask in enumerate(current):
        if np.count_nonzero(mask) < (1 - MOST_SUPERSEDED) * len(mask):
            return slice(place, place + 1)
    return None
