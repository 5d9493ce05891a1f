"""Postings of an inverted index, packed into blocks of bytes that any database can store.

A block holds the postings of consecutive terms: the terms, in how many documents each stands, and for each posting the
document and how often the term stands in it. Documents are numbered within a segment of at most MOST_DOCUMENTS. The
positions of the words are bytes of their own, since ranking does not read them. Nothing is compressed: fixed widths are
read by numpy without being decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_DOCUMENTS = 65_535
BLOCK_BYTES = 16_384
# Numbers of terms and postings, bytes of a frequency and of a position.
_HEADER = struct.Struct("<IIBB")
_TERM_BYTES, _POSTING_BYTES = 12, 3

Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Postings:
    """Postings of ascending terms; positions only of even terms.

    `terms` int64 (terms,), `counts` documents of each; `documents` uint16 (postings,), ascending in a term;
    `frequencies` (postings,); `positions` (sum of the frequencies of even terms,).
    """

    terms: NDArray[np.int64]
    counts: Numbers
    documents: Numbers
    frequencies: Numbers
    positions: Numbers

    def positions_per_posting(self) -> Numbers:
        """Return how many positions each posting has: its frequency, or 0 where the term is odd."""
        has_positions = np.repeat((self.terms & 1) == 0, self.counts)
        return np.where(has_positions, self.frequencies, 0)


@dataclass(frozen=True, slots=True)
class PackedBlock:
    """A block as it is stored; `first` is its lowest term."""

    first: int
    postings: bytes
    positions: bytes


def postings_of(terms: Numbers, documents: Numbers, positions: Numbers) -> Postings:
    """Return the postings of occurrences, three parallel arrays in the order of documents and positions."""
    return postings_and_firsts(terms, documents, positions)[0]


def postings_and_firsts(terms: Numbers, documents: Numbers, positions: Numbers) -> tuple[Postings, Numbers]:
    """Return the postings of occurrences, and which occurrence is the first of each distinct term."""
    order = np.argsort(terms, kind="stable")
    terms, documents, positions = terms[order], documents[order], positions[order]
    of_terms = _differs(terms)
    starts = np.flatnonzero(of_terms | _differs(documents))
    frequencies = np.diff(starts, append=len(terms))
    kept = positions[(terms & 1) == 0]
    distinct, counts = _run_lengths(terms[starts])
    return Postings(distinct, counts, documents[starts], frequencies, kept), order[of_terms]


def _differs(values: Numbers) -> NDArray[np.bool_]:
    """Return whether each value differs from the one before it; the first does."""
    differs = np.ones(len(values), bool)
    differs[1:] = values[1:] != values[:-1]
    return differs


def _run_lengths(values: Numbers) -> tuple[Numbers, Numbers]:
    starts = np.flatnonzero(_differs(values))
    return values[starts], np.diff(starts, append=len(values))


def packed_blocks(postings: Postings) -> Iterator[PackedBlock]:
    """Yield blocks of about BLOCK_BYTES; a term's postings are never split."""
    if not len(postings.terms):
        return
    sizes = np.cumsum(_TERM_BYTES + _POSTING_BYTES * postings.counts.astype(np.int64))
    first_terms = np.flatnonzero(np.diff(sizes // BLOCK_BYTES, prepend=-1))
    bounds = [*first_terms.tolist(), len(postings.terms)]
    of_terms = np.concatenate(([0], np.cumsum(postings.counts)))
    of_postings = np.concatenate(([0], np.cumsum(postings.positions_per_posting())))
    for start, end in pairwise(bounds):
        first, last = int(of_terms[start]), int(of_terms[end])
        part = Postings(
            postings.terms[start:end],
            postings.counts[start:end],
            postings.documents[first:last],
            postings.frequencies[first:last],
            postings.positions[int(of_postings[first]) : int(of_postings[last])],
        )
        yield packed_block(part)


def packed_block(postings: Postings) -> PackedBlock:
    width, position_width = _width(postings.frequencies), _width(postings.positions)
    header = _HEADER.pack(len(postings.terms), len(postings.documents), width, position_width)
    columns = (
        postings.terms.astype("<i8"),
        postings.counts.astype("<u4"),
        postings.documents.astype("<u2"),
        postings.frequencies.astype(f"<u{width}"),
    )
    data = b"".join([header, *(column.tobytes() for column in columns)])
    return PackedBlock(int(postings.terms[0]), data, postings.positions.astype(f"<u{position_width}").tobytes())


def _width(values: Numbers) -> int:
    most = int(values.max()) if len(values) else 0
    return 1 if most < 1 << 8 else 2 if most < 1 << 16 else 4


def unpacked_block(data: bytes, positions: bytes = b"") -> Postings:
    """Return a block's postings, views of its bytes; without `positions` those are empty."""
    terms, postings, width, position_width = _HEADER.unpack_from(data)
    place = _HEADER.size
    columns: list[Numbers] = []
    for kind, count in (("<i8", terms), ("<u4", terms), ("<u2", postings), (f"<u{width}", postings)):
        columns.append(np.frombuffer(data, kind, count, place))
        place += columns[-1].nbytes
    distinct, counts, documents, frequencies = columns
    return Postings(distinct, counts, documents, frequencies, np.frombuffer(positions, f"<u{position_width}"))


def terms_of_block(data: bytes) -> Numbers:
    """Return the terms of a block, ascending; a view of its bytes."""
    return np.frombuffer(data, "<i8", _HEADER.unpack_from(data)[0], _HEADER.size)


def postings_of_terms(data: bytes, wanted: Numbers) -> Iterator[tuple[int, Numbers, Numbers]]:
    """Yield (term, documents, frequencies) of those of the wanted terms, ascending, that a block has.

    The arrays are views of the block.
    """
    count, postings, width, _ = _HEADER.unpack_from(data)
    terms = np.frombuffer(data, "<i8", count, _HEADER.size)
    wanted = wanted[wanted.searchsorted(terms[0]) : wanted.searchsorted(terms[-1], "right")]
    places = terms.searchsorted(wanted)
    has = terms[places] == wanted
    if not has.any():
        return
    counts = np.frombuffer(data, "<u4", count, _HEADER.size + 8 * count)
    ends = counts.cumsum()
    documents_at = _HEADER.size + _TERM_BYTES * count
    frequencies_at = documents_at + 2 * postings
    for term, place in zip(wanted[has].tolist(), places[has].tolist(), strict=True):
        length = int(counts[place])
        start = int(ends[place]) - length
        documents = np.frombuffer(data, "<u2", length, documents_at + 2 * start)
        yield term, documents, np.frombuffer(data, f"<u{width}", length, frequencies_at + width * start)


def positions_of(postings: Postings, term: int) -> tuple[Numbers, Numbers, Numbers]:
    """Return (documents, frequencies, positions) of an even term that a block has."""
    place = int(postings.terms.searchsorted(term))
    end = int(postings.counts[: place + 1].sum())
    part = slice(end - int(postings.counts[place]), end)
    lengths = postings.positions_per_posting()
    start = int(lengths[: part.start].sum())
    positions = postings.positions[start : start + int(lengths[part].sum())]
    return postings.documents[part], postings.frequencies[part], positions


def merged(parts: Sequence[tuple[Postings, Numbers]]) -> Postings:
    """Return postings of several segments as one; each with its documents' new numbers, -1 where one is dropped."""
    columns = [_renumbered(postings, numbers) for postings, numbers in parts]
    terms, documents, frequencies = (np.concatenate([part[i] for part in columns]) for i in range(3))
    order = np.lexsort((documents, terms))
    lengths = np.concatenate([part[3] for part in columns])
    positions = np.concatenate([part[4] for part in columns])
    starts = np.concatenate(([0], np.cumsum(lengths)))[:-1]
    distinct, counts = _run_lengths(terms[order])
    gathered = positions[_ranges(starts[order], lengths[order])]
    return Postings(distinct, counts, documents[order], frequencies[order], gathered)


def _renumbered(postings: Postings, numbers: Numbers) -> tuple[Numbers, ...]:
    """Return (terms, documents, frequencies, numbers of positions, positions), a posting each, without dropped ones."""
    documents = numbers[postings.documents]
    kept = documents >= 0
    terms = np.repeat(postings.terms, postings.counts)
    lengths = postings.positions_per_posting().astype(np.int64)
    positions = postings.positions[np.repeat(kept, lengths)]
    return terms[kept], documents[kept], postings.frequencies[kept], lengths[kept], positions


def _ranges(starts: Numbers, lengths: Numbers) -> Numbers:
    """Return start, start + 1, ... of each range, one after another."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    ranges: Numbers = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return ranges


def within_terms(postings: Postings, low: int, high: int) -> Postings:
    """Return the postings of the terms in [low, high)."""
    start, end = np.searchsorted(postings.terms, [low, high]).tolist()
    first, last = int(postings.counts[:start].sum()), int(postings.counts[:end].sum())
    lengths = postings.positions_per_posting()
    before, until = int(lengths[:first].sum()), int(lengths[:last].sum())
    return Postings(
        postings.terms[start:end],
        postings.counts[start:end],
        postings.documents[first:last],
        postings.frequencies[first:last],
        postings.positions[before:until],
    )
