"""A query: what is read from a text, and the address that it writes itself back as."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

import pytest
from sqlalchemy.orm import Session

from search.query import LONGEST_TEXT, MOST_FORMS, MOST_TAGS, Query, QueryParts, of_mapping, parse_text
from search.text import TextQuery
from tests.documents import document, write
from tests.strange import strange_texts

READ = [
    ("שלום עולם", QueryParts(words=("שלום", "עולם"))),
    ("  שלום \t עולם\n", QueryParts(words=("שלום", "עולם"))),
    ('"שלום עולם" טוב', QueryParts(words=("טוב",), phrases=("שלום עולם",))),
    ("“שלום עולם” „אחר“", QueryParts(phrases=("שלום עולם", "אחר"))),
    ("-מלחמה שלום", QueryParts(words=("שלום",), not_words=("מלחמה",))),
    ('שלום -"לא כאן"', QueryParts(words=("שלום",), not_phrases=("לא כאן",))),
    ("tag:חוק", QueryParts(tags=("חוק",))),
    ("TAG:חוק", QueryParts(tags=("חוק",))),
    ('tag:"חוק ומשפט" שלום', QueryParts(words=("שלום",), tags=("חוק ומשפט",))),
    ('-tag:"חוק ומשפט" -tag:רווחה', QueryParts(not_tags=("חוק ומשפט", "רווחה"))),
    ("תגית:חוק תג:משפט -תגית:רווחה", QueryParts(tags=("חוק", "משפט"), not_tags=("רווחה",))),
    ('צה"ל', QueryParts(words=('צה"ל',))),
    ("צה״ל", QueryParts(words=('צה"ל',))),
    ('"חיילי צה"ל בצפון"', QueryParts(phrases=('חיילי צה"ל בצפון',))),
    ('"צה"ל" שב"כ', QueryParts(words=('שב"כ',), phrases=('צה"ל',))),
    ('tag:צה"ל', QueryParts(tags=('צה"ל',))),
    ("עורך-דין", QueryParts(words=("עורך-דין",))),
    ("tag:", QueryParts(words=("tag:",))),
    ('"', QueryParts(words=('"',))),
    ("-", QueryParts(words=("-",))),
    ("C++ -C#", QueryParts(words=("C++",), not_words=("C#",))),
    ("", QueryParts()),
    ("year:1998", QueryParts(words=("year:1998",), columns=(("year", "1998"),))),
    ('author:"Orla Brand" x', QueryParts(words=('author:"Orla Brand"', "x"), columns=(("author", "Orla Brand"),))),
    ("author:“Orla Brand”", QueryParts(words=('author:"Orla Brand"',), columns=(("author", "Orla Brand"),))),
    ("-עיר:חיפה", QueryParts(not_words=("עיר:חיפה",), not_columns=(("עיר", "חיפה"),))),
    ('מחבר:ש"י', QueryParts(words=('מחבר:ש"י',), columns=(("מחבר", 'ש"י'),))),
    ("https://example.org/a:b 10:30 7:x", QueryParts(words=("https://example.org/a:b", "10:30", "7:x"))),
    ("note: this", QueryParts(words=("note:", "this"))),
    ("a:!?", QueryParts(words=("a:!?",), columns=(("a", "!?"),))),
]


def test_an_operator_on_a_column_that_documents_have_is_no_word() -> None:
    parts = parse_text('ships author:"Orla Brand" year:1998 -City:Akko -re:x').for_columns({"author", "city"})
    assert parts.words == ("ships", "year:1998")
    assert parts.columns == (("author", "Orla Brand"),)
    assert parts.not_words == ("re:x",)
    assert parts.not_columns == (("City", "Akko"),)
    assert parts.wanted() == "ships year:1998"


@pytest.mark.parametrize(("text", "parts"), READ)
def test_a_text_is_taken_apart(text: str, parts: QueryParts) -> None:
    assert parse_text(text) == parts


def test_the_words_of_a_query_are_folded_and_each_counts_once() -> None:
    parts = parse_text('הילדים "ילדים של הגן" של -כשהמבוגרים tag:חוק')
    assert parts.forms() == ["הילדימ", "ילדימ", "הגנ"]
    assert parts.exact() == [["ילדימ", "של", "הגנ"]]
    assert parts.wanted() == "הילדים של ילדים של הגן"


@pytest.mark.parametrize("text", ['""', '-""', 'tag:""', '"', "-", "tag:", '-"  "', "!?"])
def test_a_text_without_a_word_asks_for_nothing(text: str) -> None:
    parts = parse_text(text)
    assert parts.forms() in ([], ["tag"])
    assert parts.exact() == parts.not_exact() == []
    assert parts.tags == parts.not_tags == ()


def test_stop_words_alone_are_looked_for() -> None:
    assert parse_text("מי הוא").forms() == ["מי", "הוא"]


def test_very_long_queries_are_cut() -> None:
    assert len(of_mapping({"q": "א" * 5_000}).text) == LONGEST_TEXT
    assert len(parse_text(" ".join(f"מילה{number}" for number in range(200))).forms()) == MOST_FORMS
    many = [f"תג {number}" for number in range(50)]
    query = of_mapping({"q": "tag:א", "tag": many, "not_tag": many})
    assert len(query.all_tags()) == len(query.all_not_tags()) == MOST_TAGS


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"page": "0"}, "page", 1),
        ({"page": "-3"}, "page", 1),
        ({"page": "x"}, "page", 1),
        ({"page": "9" * 5_000}, "page", 1),
        ({"page": "99999999"}, "page", 10_000),
        ({"limit": "1000"}, "limit", 100),
        ({"limit": ""}, "limit", 10),
        ({"mode": "psychic"}, "mode", "hybrid"),
        ({"mode": "tags"}, "mode", "tags"),
        ({"sort": "'; DROP"}, "sort", "score"),
        ({"q": "א\0ב\ud800"}, "text", "א ב?"),
        ({"tag": ["", " ", "א", "א"]}, "tags", ("א",)),
    ],
)
def test_what_cannot_be_understood_takes_its_default(
    given: dict[str, str | list[str]], field: str, value: object
) -> None:
    assert getattr(of_mapping(given), field) == value


def again(query: Query) -> Query:
    """Return the query of the address that a query writes."""
    return of_mapping(dict(parse_qs(query.address(), keep_blank_values=True)), query.mode)


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(text='צה"ל & "שלום עולם" -tag:א+ב #1 100%'),
        Query(tags=("א ב", "C++", "a&b=c"), not_tags=("ד",), collection="חוקים", language="he"),
        Query(text="1", sort="newest", page=3, limit=25),
        Query(text="א", limit=1),
        Query(text="א", sort="title", page=10_000, limit=100, mode="tags"),
    ],
)
def test_a_query_is_read_back_from_its_address(query: Query) -> None:
    assert again(query) == query


def test_any_text_is_read_back_from_its_address() -> None:
    for text in strange_texts():
        query = of_mapping({"q": text[:64], "tag": [text[:64]], "not_tag": [text[:64]], "collection": text[:64]})
        assert again(query) == query


def test_an_address_leaves_out_what_is_usual() -> None:
    assert Query().address() == ""
    assert Query(text="א", page=4).args(page=1) == {"q": "א"}


def test_a_tag_is_added_once_and_taken_away() -> None:
    query = Query(text="א", tags=("ב",), page=3)
    assert query.with_tag("ג") == Query(text="א", tags=("ב", "ג"))
    assert query.with_tag("ב") == query.without_tag("ד") == Query(text="א", tags=("ב",))
    assert query.without_tag("ב").tags == ()


def test_any_text_is_a_query() -> None:
    for text in strange_texts():
        parts = parse_text(text)
        assert len(parts.forms()) <= MOST_FORMS
        assert all(parts.forms()), text
        parts.exact(), parts.not_exact()


def test_no_text_takes_long_to_read() -> None:
    began = time.process_time()
    for text in ('"א' * 500, '" ' * 500, '"' * 1_000, "-" * 1_000, 'tag:"' * 200, '"א"ב' * 250, '"a"\'' * 250):
        parse_text(text)
    assert time.process_time() - began < 1.0


def test_any_text_is_answered_by_the_database(session: Session) -> None:
    """A thousand queries against a real database, nulls and surrogates as they come from outside."""
    write(session, document("1", "שלום עולם", 'חיילי צה"ל', "חוק"), document("2", "C++ and C#", "3.14", "א"))
    for text in strange_texts():
        query = of_mapping({"q": text, "tag": [text] if len(text) % 3 == 0 else []})
        TextQuery(session, query.parts()).matches(query.filter())


def test_any_text_is_answered_even_uncleaned(session: Session) -> None:
    write(session, document("1", "שלום עולם", 'חיילי צה"ל', "חוק"))
    for text in strange_texts(300):
        TextQuery(session, parse_text(text)).matches(Query(text=text).filter())
