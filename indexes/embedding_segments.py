"""The segments of packed embeddings as the database has them, and which of them counts for a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexes.embedding_space import EmbeddingSpace
from models import EmbeddingSegment, PackedEmbeddings
from utils.bit_rows import BitRows

_KEY, _COUNT = "<i8", "<u2"


class PackedGone(Exception):
    """A segment was merged since it was listed: list them again."""


@dataclass(frozen=True, slots=True)
class Packed:
    """How far the embeddings are packed: see models.PackedEmbeddings."""

    epoch: int
    version: int
    packed_to: int | None


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """The documents of a segment: their keys, and the number of rows of each, in the order of the rows."""

    id: int
    number: int
    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    rows: int


def packed_state(session: Session, space: EmbeddingSpace) -> Packed | None:
    """Return how far the embeddings are packed; None if they are not, or against other means."""
    columns = PackedEmbeddings.epoch, PackedEmbeddings.version, PackedEmbeddings.packed_to
    mine = PackedEmbeddings.model_id == space.model, PackedEmbeddings.basis == space.basis
    row = session.execute(select(*columns).where(*mine)).one_or_none()
    return Packed(*row) if row else None


def packed_segments(session: Session, model: int) -> list[PackedSegment]:
    """Return the segments of a model, newest first."""
    columns = EmbeddingSegment.id, EmbeddingSegment.number, EmbeddingSegment.documents, EmbeddingSegment.rows
    statement = select(*columns, EmbeddingSegment.heads).where(EmbeddingSegment.model_id == model)
    segments = []
    for row in session.execute(statement.order_by(EmbeddingSegment.number.desc())):
        keys = np.frombuffer(row.heads, _KEY, row.documents)
        counts = np.frombuffer(row.heads, _COUNT, row.documents, keys.nbytes).astype(np.int64)
        segments.append(PackedSegment(row.id, row.number, keys, counts, row.rows))
    return segments


def packed_heads(keys: NDArray[np.int64], counts: NDArray[np.int64]) -> bytes:
    return keys.astype(_KEY).tobytes() + counts.astype(_COUNT).tobytes()


def read_packed_rows(session: Session, segment: PackedSegment, dim: int) -> BitRows:
    """Return the rows of a segment; raises PackedGone."""
    statement = select(EmbeddingSegment.data).where(EmbeddingSegment.id == segment.id)
    data = session.execute(statement).scalar_one_or_none()
    if data is None:
        raise PackedGone
    return BitRows.frombuffer(data, segment.rows, dim)


def current_documents(segments: Sequence[PackedSegment]) -> list[NDArray[np.bool_]]:
    """Return, for each segment (newest first), which of its documents no newer one has."""
    keys = np.concatenate([segment.keys for segment in segments]) if segments else np.zeros(0, np.int64)
    order = np.argsort(keys, kind="stable")
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[order[1:]] != keys[order[:-1]]
    current = np.zeros(len(keys), bool)
    current[order[is_first]] = True
    ends = np.cumsum([len(segment.keys) for segment in segments])
    return np.split(current, ends[:-1]) if segments else []


def kept_documents(
    segments: Sequence[PackedSegment], kept: Sequence[NDArray[np.bool_]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the keys of the documents that are kept of each segment, and how many rows each has."""
    nothing = np.zeros(0, np.int64)
    pairs = list(zip(segments, kept, strict=True))
    keys = np.concatenate([nothing, *(segment.keys[mask] for segment, mask in pairs)])
    return keys, np.concatenate([nothing, *(segment.counts[mask] for segment, mask in pairs)])


def read_kept_rows(session: Session, segment: PackedSegment, kept: NDArray[np.bool_], dim: int) -> BitRows:
    """Return the rows of the documents that are kept of a segment; raises PackedGone."""
    rows = read_packed_rows(session, segment, dim)
    return rows if kept.all() else rows[np.repeat(kept, segment.counts)]
