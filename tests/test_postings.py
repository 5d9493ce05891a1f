"""Postings: what is packed is read again, and segments merged one by one equal the whole."""

from __future__ import annotations

import random

import numpy as np
import pytest

from utils.postings import (
    BLOCK_BYTES,
    Postings,
    merged,
    packed_block,
    packed_blocks,
    positions_of,
    postings_of,
    postings_of_terms,
    unpacked_block,
    within_terms,
)

Occurrences = list[tuple[int, int, int]]  # term, document, position


def random_occurrences(rng: random.Random, documents: int, terms: int, longest: int) -> Occurrences:
    return [
        (int(rng.paretovariate(0.6)) % terms, document, position)
        for document in range(documents)
        for position in range(rng.randrange(longest))
    ]


def of(occurrences: Occurrences) -> Postings:
    columns = np.array(occurrences, np.int64).reshape(-1, 3).T
    return postings_of(*columns)


def plain(postings: Postings) -> dict[int, list[tuple[int, int, tuple[int, ...]]]]:
    """Return {term: [(document, frequency, positions)]}, read slowly."""
    result: dict[int, list[tuple[int, int, tuple[int, ...]]]] = {}
    place = posting = 0
    for term, count in zip(postings.terms.tolist(), postings.counts.tolist(), strict=True):
        for _ in range(count):
            frequency = int(postings.frequencies[posting])
            here = frequency if term % 2 == 0 else 0
            positions = tuple(postings.positions[place : place + here].tolist())
            result.setdefault(term, []).append((int(postings.documents[posting]), frequency, positions))
            place, posting = place + here, posting + 1
    return result


def expected(occurrences: Occurrences) -> dict[int, list[tuple[int, int, tuple[int, ...]]]]:
    places: dict[int, dict[int, list[int]]] = {}
    for term, document, position in occurrences:
        places.setdefault(term, {}).setdefault(document, []).append(position)
    return {
        term: [(document, len(at), tuple(at) if term % 2 == 0 else ()) for document, at in sorted(documents.items())]
        for term, documents in sorted(places.items())
    }


@pytest.fixture(params=range(5))
def rng(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


def test_blocks_hold_what_was_packed(rng: random.Random) -> None:
    occurrences = random_occurrences(rng, 300, 9_000, 400)
    blocks = list(packed_blocks(of(occurrences)))
    assert len(blocks) > 3
    assert sum(len(block.postings) for block in blocks) < 1.2 * BLOCK_BYTES * len(blocks)
    read: dict[int, list[tuple[int, int, tuple[int, ...]]]] = {}
    for block in blocks:
        postings = unpacked_block(block.postings, block.positions)
        assert block.first == postings.terms[0]
        read |= plain(postings)
    assert read == expected(occurrences)


def test_wide_numbers_survive() -> None:
    occurrences = [(2, 65_534, position) for position in range(70_000)] + [(5, 65_534, 0)]
    (block,) = packed_blocks(of(occurrences))
    assert plain(unpacked_block(block.postings, block.positions)) == expected(occurrences)


def test_wanted_terms_are_found_and_no_others(rng: random.Random) -> None:
    occurrences = random_occurrences(rng, 50, 500, 60)
    postings, right = of(occurrences), expected(occurrences)
    wanted = np.array(sorted({rng.randrange(600) for _ in range(40)}), np.int64)
    block = packed_block(postings)
    found = {
        term: list(zip(documents.tolist(), frequencies.tolist(), strict=True))
        for term, documents, frequencies in postings_of_terms(block.postings, wanted)
    }
    assert found == {term: [row[:2] for row in right[term]] for term in wanted.tolist() if term in right}
    whole = unpacked_block(block.postings, block.positions)
    for term in found:
        if term % 2 == 0:
            assert sum(positions_of(whole, term)[1].tolist()) == len(positions_of(whole, term)[2])
            assert positions_of(whole, term)[2].tolist() == [at for row in right[term] for at in row[2]]


def test_merged_segments_equal_the_whole_without_what_was_dropped(rng: random.Random) -> None:
    occurrences = random_occurrences(rng, 120, 400, 50)
    owner = [rng.randrange(3) for _ in range(120)]
    dropped = {document for document in range(120) if rng.random() < 0.2}
    kept = {document: number for number, document in enumerate(d for d in range(120) if d not in dropped)}
    parts = []
    for segment in range(3):
        own = [document for document in range(120) if owner[document] == segment]
        local = {document: number for number, document in enumerate(own)}
        rows = [(term, local[document], position) for term, document, position in occurrences if document in local]
        numbers = np.array([kept.get(document, -1) for document in own], np.int64)
        parts.append((of(rows), numbers))
    rows = [(term, kept[document], position) for term, document, position in occurrences if document in kept]
    assert plain(merged(parts)) == expected(rows)


def test_a_range_of_terms_is_cut_out_with_its_positions(rng: random.Random) -> None:
    occurrences = random_occurrences(rng, 60, 300, 40)
    part = within_terms(of(occurrences), 20, 90)
    assert plain(part) == {term: rows for term, rows in expected(occurrences).items() if 20 <= term < 90}


def test_nothing_is_no_block() -> None:
    assert list(packed_blocks(of([]))) == []
