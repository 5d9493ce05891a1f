"""Hits: the best passage of a body of any length, and a true reason for each."""

from __future__ import annotations

import tracemalloc

import pytest
from sqlalchemy.orm import Session

from indexing.documents import NewDocument
from search.hits import BEGINNING, PIECE, hits
from search.matcher import QueryMatcher
from search.query import Query
from search.results import Hit, Ranked
from search.search import search
from tests.collections import fill, off_side
from tests.marks import matcher_of

FILLER = "Nothing of note stands here. "


def only_hit(session: Session, query: Query) -> Hit:
    (hit,) = search(session, query, off_side()).hits
    return hit


def hit_of(session: Session, document: NewDocument, query: Query, matcher: QueryMatcher | None = None) -> Hit:
    fill(session, [document])
    (number,) = [hit.number for hit in search(session, Query(), off_side()).hits]
    (hit,) = hits(session, query, [Ranked(number, 1.0, text=1.0)], matcher or matcher_of(query.parts()))
    return hit


@pytest.mark.parametrize("place", [5_000, BEGINNING, BEGINNING + 40, PIECE + BEGINNING - 20, 3 * PIECE, 250_000])
def test_a_match_anywhere_in_a_long_body_has_a_passage_a_mark_and_a_reason(session: Session, place: int) -> None:
    body = (FILLER * 9_000)[:place].rstrip() + " The needle lies here. " + FILLER * 40
    fill(session, [NewDocument("hay", "Haystack", body)])
    hit = only_hit(session, Query("needle", "text"))
    assert [segment.text for segment in hit.snippet if segment.found] == ["needle"]
    assert hit.why.words == ("needle",)
    assert hit.plain_snippet.startswith("…")
    assert hit.plain_snippet.endswith("…")


def test_a_page_of_books_is_read_a_piece_at_a_time(session: Session) -> None:
    books = [NewDocument(f"{n}", "Book", FILLER * 30_000 + f"needle {n}") for n in range(5)]
    side = fill(session, books)
    query = Query("needle", "text")
    search(session, query, side)
    session.expire_all()
    tracemalloc.start()
    try:
        found = search(session, query, side).hits
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [hit.why.words for hit in found] == [("needle",)] * 5
    assert peak < 4_000_000, peak


def test_a_column_that_matched_is_named_with_its_value(session: Session) -> None:
    book = NewDocument(
        "b", "A book", "of ships", extra={"author": "Orla Brand", "year": 1998, "city": ["Yafo", "Akko"]}
    )
    hit = hit_of(session, book, Query("brand akko ships"))
    assert [(match.name, match.plain_value) for match in hit.why.fields] == [
        ("author", "Orla Brand"), ("city", "Akko"),
    ]  # fmt: skip
    assert [segment.text for segment in hit.why.fields[0].value if segment.found] == ["Brand"]
    assert hit.why.words == ("ships", "Brand", "Akko")


def test_a_word_is_named_once_however_it_is_capitalized(session: Session) -> None:
    book = NewDocument("b", "A book of ships", "Ships and SHIPS, and a ship.")
    assert hit_of(session, book, Query("ships")).why.words == ("ships", "ship")


def test_a_column_that_an_operator_names_is_a_reason_if_it_has_the_value(session: Session) -> None:
    book = NewDocument("b", "Orla Brand", "of ships", extra={"author": "Orla Brand", "year": 1998})
    query = Query('author:"orla brand" year:1999')
    hit = hit_of(session, book, query, QueryMatcher({}))
    assert [match.name for match in hit.why.fields] == ["author"]


def test_a_word_that_is_marked_in_the_text_needs_no_column(session: Session) -> None:
    book = NewDocument("b", "A book of ships", "", extra={"subject": "ships"})
    assert hit_of(session, book, Query("ship")).why.fields == ()


def test_a_document_found_by_its_id_or_a_word_of_a_tag_says_so(session: Session) -> None:
    law = NewDocument("2024-17", "A law", "on water", ("Safety, Health",))
    assert [(m.name, m.plain_value) for m in hit_of(session, law, Query("2024-17")).why.fields] == [("id", "2024-17")]
    (match,) = hit_of(session, law, Query("health")).why.fields
    assert (match.name, match.plain_value) == ("tags", "Safety, Health")


def test_a_listing_is_newest_first_and_says_so(session: Session) -> None:
    fill(session)
    assert Query(collection="house").order() == "newest"
    assert Query("-bread").order() == Query("tag:baking").order() == "newest"
    assert Query(collection="house", sort="title").order() == "title"
    assert Query("bread").order() == "score"
