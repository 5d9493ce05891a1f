"""Merges small segments into larger ones, in tiers, and leaves deleted documents behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from indexes.segments import (
    DOCUMENTS,
    VOCABULARY,
    ListedSegment,
    drop_segments,
    listed_segments,
    write_segment,
)
from models import SegmentBlock, State
from utils.postings import MOST_DOCUMENTS, PackedBlock, Postings, merged, packed_blocks, unpacked_block, within_terms
from utils.sql import among

FAN_OUT = 16  # segments of a tier are merged when there are so many
TIERS = (16, 256, 4_096)  # documents below which a segment belongs to the tier; the last tier has no bound
FULL = 49_152  # documents from which on a segment is not merged with others
MOST_DELETED = 0.3  # share of deleted documents from which on a segment is written anew
BLOCKS_AT_ONCE = 24  # whose postings take some 10 MB while they are merged
COMPACT_SHARE = 8  # documents that may be written again for each one that an import added
SMALL_MERGE = 4_096  # documents that are merged within a request


def merge_segments(session: Session, most_documents: int = MOST_DOCUMENTS, fan_out: int | None = None) -> None:
    """Merge whatever is due, each merge in a transaction of its own; of at most `most_documents`."""
    for kind in (DOCUMENTS, VOCABULARY):
        while _merge_once(session, kind, most_documents, fan_out):
            pass


def _merge_once(session: Session, kind: int, most_documents: int, fan_out: int | None) -> bool:
    if not due_segments(listed_segments(session, kind), most_documents, fan_out):
        session.rollback()
        return False
    session.rollback()
    lock_writers(session)
    due = due_segments(listed_segments(session, kind), most_documents, fan_out)
    if due:
        _merge(session, kind, due)
    session.commit()
    return bool(due)


def compact_segments(session: Session, written: int) -> None:
    """Merge all segments that are not full, after an import of so many documents, unless most of them are older."""
    merge_segments(session)
    for kind in (DOCUMENTS, VOCABULARY):
        lock_writers(session)
        small = [segment for segment in listed_segments(session, kind) if segment.count < FULL]
        fitting = _fitting(sorted(small, key=lambda segment: (segment.count, segment.id)), MOST_DOCUMENTS)
        if fitting and sum(segment.count for segment in fitting) <= COMPACT_SHARE * written:
            _merge(session, kind, fitting)
        session.commit()


def purge_deleted(session: Session, kind: int) -> int:
    """Write every segment anew that has deleted documents, and return how many; the caller commits."""
    marked = [segment for segment in listed_segments(session, kind) if segment.count < segment.size]
    for segment in marked:
        _merge(session, kind, [segment])
    return len(marked)


def lock_writers(session: Session) -> None:
    """Make writers wait, so that none deletes from a segment that is being merged."""
    session.execute(update(State).where(State.id == 1).values(version=State.version))


def due_segments(
    segments: Sequence[ListedSegment], most_documents: int = MOST_DOCUMENTS, fan_out: int | None = None
) -> list[ListedSegment]:
    """Return segments that should become one, or one that should be written anew; none if all is well."""
    fan_out = fan_out or FAN_OUT
    by_size = sorted(segments, key=lambda segment: (segment.count, segment.id))
    for tier in range(len(TIERS)):
        same = [segment for segment in by_size if _tier(segment) == tier]
        if len(same) >= fan_out:
            return _fitting(same, most_documents)
    last = [segment for segment in by_size if _tier(segment) == len(TIERS) and segment.count < FULL]
    if len(last) >= fan_out or sum(segment.count for segment in last) >= FULL:
        fitting = _fitting(last, most_documents)
        if len(fitting) > 1:
            return fitting
    for segment in by_size:
        if segment.size - segment.count > MOST_DELETED * segment.size and segment.count <= most_documents:
            return [segment]
    return []


def _tier(segment: ListedSegment) -> int:
    return sum(segment.count >= bound for bound in TIERS)


def _fitting(segments: Sequence[ListedSegment], most_documents: int) -> list[ListedSegment]:
    """Return the smallest segments that together have at most `most_documents`; none if fewer than two."""
    total, fitting = 0, []
    for segment in segments:
        total += segment.count
        if total > most_documents:
            break
        fitting.append(segment)
    return fitting if len(fitting) > 1 else []


def _merge(session: Session, kind: int, segments: Sequence[ListedSegment]) -> None:
    keys = [_alive(segment, segment.documents.keys) for segment in segments]
    order = np.argsort(np.concatenate(keys), kind="stable")
    if len(order):
        lengths = np.concatenate([_alive(segment, segment.documents.lengths) for segment in segments])
        titles = np.concatenate([_alive(segment, segment.documents.titles) for segment in segments])
        blocks = _merged_blocks(session, segments, _new_numbers(segments, order))
        write_segment(session, kind, np.concatenate(keys)[order], lengths[order], titles[order], blocks)
    drop_segments(session, segments)


def _alive(segment: ListedSegment, values: NDArray[np.int64]) -> NDArray[np.int64]:
    return values if segment.alive is None else values[segment.alive]


def _new_numbers(segments: Sequence[ListedSegment], order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return, for each segment, the documents' numbers in the merged one; -1 for deleted ones."""
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    numbers, start = [], 0
    for segment in segments:
        of_segment = np.full(segment.size, -1, np.int64)
        of_segment[slice(None) if segment.alive is None else segment.alive] = ranks[start : start + segment.count]
        numbers.append(of_segment)
        start += segment.count
    return numbers


def _merged_blocks(
    session: Session, segments: Sequence[ListedSegment], numbers: Sequence[NDArray[np.int64]]
) -> Iterator[PackedBlock]:
    """Yield the merged blocks; only a range of terms is in memory at a time."""
    firsts = np.unique(np.concatenate([segment.documents.firsts for segment in segments]))
    bounds = [*firsts[::BLOCKS_AT_ONCE].tolist(), np.iinfo(np.int64).max]
    for low, high in pairwise(bounds):
        parts = [
            (within_terms(block, low, high), new_numbers)
            for segment, new_numbers in zip(segments, numbers, strict=True)
            for block in _blocks_within(session, segment, low, high)
        ]
        yield from packed_blocks(merged(parts))


def _blocks_within(session: Session, segment: ListedSegment, low: int, high: int) -> list[Postings]:
    firsts = segment.documents.firsts
    start = max(int(np.searchsorted(firsts, low, side="right")) - 1, 0)
    end = int(np.searchsorted(firsts, high))
    ids = range(segment.id + 1 + start, segment.id + 1 + end)
    statement = select(SegmentBlock.postings, SegmentBlock.positions).where(among(SegmentBlock.id, ids))
    return [unpacked_block(row.postings, row.positions) for row in session.execute(statement)]
