"""The segments of the word index in the database: written with the documents, merged later, deleted by a bitmap."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Table, delete, select, update
from sqlalchemy.orm import Session

from models import IndexSegment, SegmentBlock
from utils.lru import LRUCache
from utils.postings import (
    PackedBlock,
    Postings,
    packed_blocks,
    positions_of,
    postings_of_terms,
    terms_of_block,
    unpacked_block,
)
from utils.sql import among, upsert

DOCUMENTS, VOCABULARY = 0, 1  # kinds of segments
ID_BITS = 20  # ids of blocks follow that of their segment
_KEY, _LENGTH, _TITLE = "<i8", "<u4", "<u2"
MOST_CACHED_BYTES = 24_000_000  # the documents of 1.5 million: keys, lengths, and where blocks begin
MOST_BLOCK_BYTES = 4_000_000  # the 4-grams of a vocabulary of 200,000 forms
BLOCKS_AT_ONCE = 64


class SegmentGone(Exception):
    """A segment was merged since it was listed: list the segments again."""


class SegmentDamaged(Exception):
    """What is stored of a segment cannot be read: the database is damaged, though it may not notice."""


@contextmanager
def noticing_damage() -> Iterator[None]:
    """Raise SegmentDamaged where postings are no postings: their numbers are then out of any bounds."""
    try:
        yield
    except (IndexError, ValueError, struct.error) as error:
        raise SegmentDamaged(f"the word index cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class SegmentDocuments:
    """The documents of a segment, sorted by key, and the first term of each of its blocks.

    `keys` and `firsts` int64; `lengths` uint32 words of each document; `titles` uint16 words of its title.
    """

    keys: NDArray[np.int64]
    lengths: NDArray[Any]
    titles: NDArray[Any]
    firsts: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.keys, self.lengths, self.titles, self.firsts))

    def numbers_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the documents' numbers in this segment, -1 where it does not have one."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, -1)


# A segment never changes and its id is never used again, whatever the database.
_documents: LRUCache[SegmentDocuments] = LRUCache(4_096, MOST_CACHED_BYTES, lambda documents: documents.nbytes)


_blocks: LRUCache[bytes] = LRUCache(1_024, MOST_BLOCK_BYTES, len)


def forget_segments() -> None:
    """Empty the caches of segments' documents and blocks."""
    _documents.clear()
    _blocks.clear()


@dataclass(frozen=True, slots=True)
class ListedSegment:
    """A segment as it is now: `alive` is a mask of the documents that are not deleted, None if all are."""

    id: int
    documents: SegmentDocuments
    words: int
    titles: int
    alive: NDArray[np.bool_] | None

    @property
    def size(self) -> int:
        return len(self.documents.keys)

    @property
    def count(self) -> int:
        return self.size if self.alive is None else int(self.alive.sum())

    def without(self, documents: NDArray[Any]) -> ListedSegment:
        """Return the segment as if these of its documents were deleted."""
        alive = np.ones(self.size, bool) if self.alive is None else self.alive.copy()
        alive[documents] = False
        words, titles = self.documents.lengths[documents], self.documents.titles[documents]
        return replace(
            self,
            words=self.words - int(words.sum(dtype=np.int64)),
            titles=self.titles - int(titles.sum(dtype=np.int64)),
            alive=alive,
        )

    def block_ids(self, terms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids of the blocks that may have the terms."""
        places = np.searchsorted(self.documents.firsts, terms, side="right")
        return self.id + np.unique(places[places > 0])


def write_segment(
    session: Session,
    kind: int,
    keys: NDArray[np.int64],
    lengths: NDArray[Any],
    titles: NDArray[Any],
    postings: Postings | Iterator[PackedBlock],
) -> int:
    """Store a segment of documents sorted by key, and return its id."""
    segment = secrets.randbits(62 - ID_BITS) << ID_BITS
    firsts: list[int] = []
    waiting: list[dict[str, Any]] = []
    blocks = packed_blocks(postings) if isinstance(postings, Postings) else postings
    for place, block in enumerate(blocks, 1):
        firsts.append(block.first)
        waiting.append({"id": segment + place, "postings": block.postings, "positions": block.positions})
        if len(waiting) == BLOCKS_AT_ONCE:
            _insert(session, waiting)
            waiting.clear()
    documents = keys.astype(_KEY).tobytes() + lengths.astype(_LENGTH).tobytes() + titles.astype(_TITLE).tobytes()
    waiting.append({"id": segment, "postings": documents, "positions": np.array(firsts, _KEY).tobytes()})
    _insert(session, waiting)
    row = {
        "id": segment,
        "kind": kind,
        "documents": len(keys),
        "alive": len(keys),
        "words": int(lengths.sum()),
        "titles": int(titles.sum()),
        "deleted": b"",
    }
    upsert(session, _SEGMENTS, [row])
    return segment


def _insert(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    upsert(session, _BLOCKS, rows)


def listed_segments(session: Session, kind: int) -> list[ListedSegment]:
    """Return the segments of a kind; one statement, and another for what is not cached. Raises SegmentGone."""
    return segments_by_kind(session, kind)[kind]


def segments_by_kind(session: Session, *kinds: int) -> dict[int, list[ListedSegment]]:
    """Return the segments of several kinds in the same number of statements. Raises SegmentGone."""
    rows = session.execute(_LISTED, {"kinds": kinds}).all()
    documents = {row.id: _documents.get(row.id) for row in rows}
    missing = {row.id: row.documents for row in rows if documents[row.id] is None}
    documents |= _read_documents(session, missing)
    listed: dict[int, list[ListedSegment]] = {kind: [] for kind in kinds}
    for row in rows:
        listed[row.kind].append(_listed(row, documents.get(row.id)))
    return listed


def _listed(row: Row[int, int, int, int, bytes, int], documents: SegmentDocuments | None) -> ListedSegment:
    if documents is None:
        raise SegmentGone
    alive = None
    if row.deleted:
        alive = np.unpackbits(np.frombuffer(row.deleted, np.uint8), count=row.documents) == 0
    return ListedSegment(row.id, documents, row.words, row.titles, alive)


def _read_documents(session: Session, sizes: Mapping[int, int]) -> dict[int, SegmentDocuments]:
    if not sizes:
        return {}
    rows = session.execute(_WITH_POSITIONS, {"ids": sizes})
    read = {}
    for row in rows:
        size = sizes[row.id]
        keys = np.frombuffer(row.postings, _KEY, size)
        lengths = np.frombuffer(row.postings, _LENGTH, size, keys.nbytes)
        titles = np.frombuffer(row.postings, _TITLE, size, keys.nbytes + lengths.nbytes)
        documents = SegmentDocuments(keys, lengths, titles, np.frombuffer(row.positions, _KEY))
        read[row.id] = _documents.set(row.id, documents)
    return read


@dataclass(frozen=True, slots=True)
class TermPostings:
    """The documents of one segment that have a term, ascending, and how often; `positions` if they were read."""

    segment: int  # place in the list of segments
    documents: NDArray[Any]
    frequencies: NDArray[Any]
    positions: NDArray[Any] | None = None


def read_terms(
    session: Session,
    segments: Sequence[ListedSegment],
    terms: NDArray[np.int64],
    *,
    with_positions: bool = False,
    cached: bool = False,
) -> dict[int, list[TermPostings]]:
    """Return the postings of ascending terms, without deleted documents; one statement. Raises SegmentGone.

    `cached` keeps the blocks that were read in memory, without positions.
    """
    found: dict[int, list[TermPostings]] = {}
    places = {segment.id: place for place, segment in enumerate(segments)}
    wanted = np.concatenate([segment.block_ids(terms) for segment in segments]) if segments else np.zeros(0, np.int64)
    for number, data, positions_data in _read_blocks(session, wanted.tolist(), with_positions, cached):
        place = places[number >> ID_BITS << ID_BITS]
        block = unpacked_block(data, positions_data) if with_positions else None
        for term, documents, frequencies in postings_of_terms(data, terms):
            positions = positions_of(block, term)[2] if block and not term & 1 else None
            postings = _without_deleted(place, documents, frequencies, positions, segments[place].alive)
            if len(postings.documents):
                found.setdefault(term, []).append(postings)
    return found


def stored_terms(session: Session, kind: int) -> NDArray[np.int64]:
    """Return the distinct terms of all segments of a kind, ascending, deleted documents included; reads all blocks."""
    terms = np.zeros(0, np.int64)
    for segment in listed_segments(session, kind):
        blocks = range(segment.id + 1, segment.id + 1 + len(segment.documents.firsts))
        of_blocks = [terms_of_block(data) for _, data, _ in _read_blocks(session, blocks, False, False)]
        terms = np.unique(np.concatenate([terms, *of_blocks]))
    return terms


def _read_blocks(
    session: Session, numbers: Sequence[int], with_positions: bool, cached: bool
) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (id, postings, positions) of blocks, positions only if they are asked for. Raises SegmentGone."""
    missing = list(numbers)
    if cached:
        kept = {number: data for number in numbers if (data := _blocks.get(number)) is not None}
        yield from ((number, data, b"") for number, data in kept.items())
        missing = [number for number in numbers if number not in kept]
    if not missing:
        return
    statement = _WITH_POSITIONS if with_positions else _POSTINGS
    count = 0
    for number, data, *rest in session.execute(statement, {"ids": missing}):
        count += 1
        if cached:
            _blocks.set(number, data)
        yield number, data, rest[0] if rest else b""
    if count < len(missing):
        raise SegmentGone


_BLOCKS: Table = SegmentBlock.__table__  # type: ignore[assignment]
_SEGMENTS: Table = IndexSegment.__table__  # type: ignore[assignment]
# Made once: to make a statement takes longer than to execute it.
_POSTINGS = (
    select(_BLOCKS.c.id, _BLOCKS.c.postings)
    .where(among(_BLOCKS.c.id, "ids"))
    .execution_options(yield_per=BLOCKS_AT_ONCE)
)
_WITH_POSITIONS = _POSTINGS.add_columns(_BLOCKS.c.positions)
_LISTED = (
    select(
        _SEGMENTS.c.id,
        _SEGMENTS.c.documents,
        _SEGMENTS.c.words,
        _SEGMENTS.c.titles,
        _SEGMENTS.c.deleted,
        _SEGMENTS.c.kind,
    )
    .where(among(_SEGMENTS.c.kind, "kinds"))
    .order_by(_SEGMENTS.c.id)
)


def _without_deleted(
    place: int,
    documents: NDArray[Any],
    frequencies: NDArray[Any],
    positions: NDArray[Any] | None,
    alive: NDArray[np.bool_] | None,
) -> TermPostings:
    """Return copies: a view would keep a whole block in memory."""
    if alive is None:
        return TermPostings(
            place, documents.copy(), frequencies.copy(), None if positions is None else positions.copy()
        )
    kept = alive[documents]
    if positions is not None:
        positions = positions[np.repeat(kept, frequencies)]
    return TermPostings(place, documents[kept], frequencies[kept], positions)


def delete_from_segments(session: Session, kind: int, keys: Sequence[int]) -> None:
    """Mark documents as deleted; those that no segment has are ignored."""
    wanted = np.array(sorted(keys), np.int64)
    for segment in listed_segments(session, kind):
        numbers = segment.documents.numbers_of(wanted)
        alive = np.ones(segment.size, bool) if segment.alive is None else segment.alive.copy()
        numbers = numbers[numbers >= 0]
        numbers = numbers[alive[numbers]]
        if not len(numbers):
            continue
        alive[numbers] = False
        changes = {
            "alive": int(alive.sum()),
            "words": segment.words - int(segment.documents.lengths[numbers].sum()),
            "titles": segment.titles - int(segment.documents.titles[numbers].sum()),
            "deleted": np.packbits(~alive).tobytes(),
        }
        session.execute(update(IndexSegment).where(IndexSegment.id == segment.id).values(changes))


def indexed_keys(session: Session, kind: int, keys: Sequence[int]) -> set[int]:
    """Return those of the keys that a segment has."""
    wanted = np.array(sorted(keys), np.int64)
    present: set[int] = set()
    for segment in listed_segments(session, kind):
        numbers = segment.documents.numbers_of(wanted)
        has = numbers >= 0
        if segment.alive is not None:
            has[has] = segment.alive[numbers[has]]
        present.update(wanted[has].tolist())
    return present


def drop_segments(session: Session, segments: Sequence[ListedSegment]) -> None:
    for segment in segments:
        blocks = SegmentBlock.id.between(segment.id, segment.id + (1 << ID_BITS) - 1)
        session.execute(delete(SegmentBlock).where(blocks))
        session.execute(delete(IndexSegment).where(IndexSegment.id == segment.id))
