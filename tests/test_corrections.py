"""Words that no document has: what was meant is searched, at less weight, and the page offers the corrected search."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from indexing.documents import NewDocument, write_documents
from search.query import Query
from search.results import Correction, corrected_text
from search.search import WITHOUT_MEANING, search
from search.text import TextQuery
from utils.word_frequencies import read_frequencies
from utils.word_readings import Readings

DOCUMENTS = [
    NewDocument("cyclamen", title="הרקפת שמתחבאת בסלע", body="פרח חורף בין הסלעים"),
    NewDocument("hoopoe", title="ציפור", body="הדוכיפת נבחרה לציפור הלאומית"),
    NewDocument("peace", title="ברכה", body="שלום לכם"),
    NewDocument("bees", title="Honeybees", body="They dance in the hive; the water is near."),
    NewDocument("train", title="רכבת", body="רכבת העמק"),
]


@pytest.fixture
def filled(session: Session) -> Session:
    write_documents(session, "garden", DOCUMENTS)
    return session


@pytest.mark.parametrize(
    ("typed", "meant", "document"),
    [
        ("דוחיפת", "דוכיפת", "hoopoe"),
        ("akuo", "שלום", "peace"),
        ("wter", "water", "bees"),
        ("hnoeybees", "honeybees", "bees"),
        ("יןמקטנקקד", "honeybees", ""),
        ("סלעימ", "סלעים", "cyclamen"),
    ],
)
def test_what_was_meant_is_found_and_said(filled: Session, typed: str, meant: str, document: str) -> None:
    page = search(filled, Query(typed, "text"), WITHOUT_MEANING)
    if not document:
        assert page.hits == ()
        return
    assert [hit.id for hit in page.hits] == [document]
    if page.corrections:
        assert page.corrections[0].typed == typed
        assert meant in page.corrections[0].shown
        assert corrected_text(typed, page.corrections) == page.corrections[0].shown[0]


def test_the_likelier_slip_comes_first(filled: Session) -> None:
    page = search(filled, Query("רכפת", "text"), WITHOUT_MEANING)
    assert page.hits[0].id == "cyclamen"  # of the same sound, behind ה; רכבת is a letter replaced


def test_a_right_word_weighs_more_than_one_that_was_meant(session: Session) -> None:
    write_documents(
        session, "x", [NewDocument("a", title="one", body="garden"), NewDocument("b", title="two", body="water")]
    )
    page = search(session, Query("garden watr", "text"), WITHOUT_MEANING)
    assert [hit.id for hit in page.hits] == ["a", "b"]


@pytest.mark.parametrize("typed", ["xqzvk", "קקצצטט", "zz", "12345x"])
def test_random_letters_are_taken_for_nothing(filled: Session, typed: str) -> None:
    page = search(filled, Query(typed, "text"), WITHOUT_MEANING)
    assert (page.hits, page.corrections) == ((), ())


@pytest.mark.model
def test_a_word_of_the_language_is_not_taken_for_another(session: Session, hebrew_words: Path) -> None:
    texts = {"been": "they had been sold", "fees": "what it costs", "close": "close the door", "morning": "בוקר טוב"}
    write_documents(session, "x", [NewDocument(name, title=name, body=body) for name, body in texts.items()])
    readings = Readings(read_frequencies(hebrew_words))

    def taken_for(text: str) -> tuple[str, ...]:
        (word,) = TextQuery(session, Query(text, "text").parts(), readings).interpretation.words
        return word.taken_for

    for usual in ("bees", "closet", "homework", "בוקע"):
        assert taken_for(usual) == ()
    assert taken_for("cloze") == taken_for("clsoe") == ("close",)


def test_the_corrected_query_keeps_everything_else() -> None:
    corrections = (Correction("wter", ("water",)), Correction("הדרומ", ("הדרום",)))
    assert corrected_text('wter tag:sea -salt "by the"', corrections) == 'water tag:sea -salt "by the"'
    assert corrected_text("Wter", corrections) == "water"
    assert corrected_text("water", corrections) == ""
    assert corrected_text("", ()) == ""


@pytest.mark.parametrize(("language", "said"), [("en", "Did you mean"), ("he", "האם התכוונתם")])
def test_the_page_offers_the_corrected_search_one_click_away(
    filled: Session, client: FlaskClient, language: str, said: str
) -> None:
    page = client.get(f"/text?q=wter&lang={language}").get_data(as_text=True)
    assert said in page
    assert 'href="/text?q=water' in page
    assert said not in client.get(f"/text?q=water&lang={language}").get_data(as_text=True)


def test_the_answer_in_json_says_whether_it_is_weak(filled: Session, client: FlaskClient) -> None:
    answer = client.get("/api/search?q=water&mode=text").get_json()
    assert answer["weak"] is False
