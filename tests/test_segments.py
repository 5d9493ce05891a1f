"""Segments of the word index: tiers, merges that are broken off, and searches while segments are merged."""

from __future__ import annotations

import random

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from indexes import merging
from indexes.merging import FULL, due_segments, merge_segments
from indexes.segments import (
    DOCUMENTS,
    VOCABULARY,
    ListedSegment,
    SegmentDocuments,
    SegmentGone,
    forget_segments,
    listed_segments,
    read_terms,
    segments_by_kind,
)
from indexes.vocabulary import similar_forms
from models import db
from search import text
from search.query import Query
from search.text import TextQuery
from tests.documents import document, found, matches, remove, shared_documents, stands_right, write
from utils.terms import text_term


def segment(number: int, size: int, alive: int | None = None) -> ListedSegment:
    keys = np.arange(size)
    documents = SegmentDocuments(keys, keys, keys, keys[:0])
    mask = None if alive is None else np.arange(size) < alive
    return ListedSegment(number, documents, 0, 0, mask)


@pytest.mark.parametrize(
    ("sizes", "due"),
    [
        ([1] * 15, []),
        ([1] * 16, [1] * 16),
        ([1] * 5 + [100] * 16, [100] * 16),
        ([1_000] * 15 + [16_000] * 3, []),
        ([1_000] * 16, [1_000] * 16),
        ([16_000] * 4, [16_000] * 4),
        ([FULL, FULL, FULL], []),
        ([40_000, 30_000], []),
        ([30_000, 5_000, 20_000], [5_000, 20_000, 30_000]),
    ],
)
def test_segments_of_a_tier_are_merged_when_there_are_enough(sizes: list[int], due: list[int]) -> None:
    segments = [segment(number, size) for number, size in enumerate(sizes)]
    assert [one.count for one in due_segments(segments)] == due


def test_a_segment_with_many_deleted_documents_is_written_anew() -> None:
    assert due_segments([segment(1, 100, alive=80)]) == []
    assert [one.id for one in due_segments([segment(1, 100, alive=80), segment(2, 100, alive=60)])] == [2]


def test_a_merge_within_a_request_stays_small() -> None:
    assert due_segments([segment(number, 1_000) for number in range(16)], 900) == []
    assert len(due_segments([segment(number, 1_000) for number in range(16)], 4_096)) == 4


def test_single_writes_become_few_segments(session: Session) -> None:
    for one in shared_documents(40):
        write(session, one)
    assert len(listed_segments(session, DOCUMENTS)) < 16 + 3
    assert len(listed_segments(session, VOCABULARY)) < 16 + 3
    stands_right(session)


class MergeBroken(Exception):
    """What the test throws into the middle of a merge."""


@pytest.mark.parametrize("statement", ["INTO segment_block", "INTO segment (", "DELETE FROM segment_block"])
def test_a_merge_that_is_broken_off_changes_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.setattr(merging, "FAN_OUT", 1_000)
    for one in shared_documents(20):
        write(session, one)
    remove(session, *(one.own_id for one in shared_documents(20)[:3]))
    monkeypatch.setattr(merging, "FAN_OUT", 16)

    def break_off(_connection: object, _cursor: object, said: str, *_: object) -> None:
        if statement in said:
            raise MergeBroken

    event.listen(db.engine, "before_cursor_execute", break_off)
    with pytest.raises(MergeBroken):
        merge_segments(session)
    session.rollback()
    event.remove(db.engine, "before_cursor_execute", break_off)
    assert len(listed_segments(session, DOCUMENTS)) == 20
    stands_right(session)
    merge_segments(session)
    assert len(listed_segments(session, DOCUMENTS)) < 16
    stands_right(session)


def test_a_search_during_a_merge_lists_the_segments_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "FAN_OUT", 1_000)
    for number in range(20):
        write(session, document(str(number), f"חוק {number}"))
    before = listed_segments(session, DOCUMENTS)
    monkeypatch.setattr(merging, "FAN_OUT", 16)
    merge_segments(session)
    with pytest.raises(SegmentGone):
        read_terms(session, before, np.array([text_term("חוק")]))
    lists = iter([{DOCUMENTS: before, VOCABULARY: listed_segments(session, VOCABULARY)}])
    monkeypatch.setattr(text, "segments_by_kind", lambda *given: next(lists, None) or segments_by_kind(*given))
    query = Query("חוק")
    assert TextQuery(session, query.parts()).matches(query.filter()).total == 20


def test_any_order_of_writes_and_merges_ends_the_same(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "FAN_OUT", 3)
    chance, kept = random.Random(3), set[str]()
    pool = shared_documents(60)
    for _ in range(60):
        some = chance.sample(pool, chance.randint(1, 6))
        if chance.random() < 0.7:
            write(session, *some)
            kept |= {one.own_id for one in some}
        else:
            remove(session, *(one.own_id for one in some))
            kept -= {one.own_id for one in some}
        forget_segments()
    stands_right(session)
    incremental = matches(session, Query("חוק התקציב law"))
    ids = set(found(session, "חוק התקציב law"))
    remove(session, *kept)
    assert listed_segments(session, DOCUMENTS) == [] or found(session, "חוק") == []
    write(session, *(one for one in pool if one.own_id in kept))
    stands_right(session)
    anew = matches(session, Query("חוק התקציב law"))
    assert set(found(session, "חוק התקציב law")) == ids
    assert anew.scores == pytest.approx(incremental.scores, abs=1e-9)


def test_similar_forms_come_with_the_most_similar_first(session: Session) -> None:
    write(session, document("1", "gardening gardens garden", "התנגדות התנגד מתנגדים"))
    similar = similar_forms(session, listed_segments(session, VOCABULARY), ["gardning", "התנגד", "zzzz"], 5)
    assert similar["gardning"][0].form == "gardening"
    assert [one.form for one in similar["התנגד"]][:2] == ["התנגד", "התנגדות"]
    assert similar["zzzz"] == []
