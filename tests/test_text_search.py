"""Search by words: the same answers from every database, and what is found by which spelling."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import create_app
from indexes.merging import compact_segments, merge_segments
from indexes.segments import DOCUMENTS, listed_segments
from models import Document, db, document_number
from search.query import Query
from search.scoring import K1, B
from search.text import MOST_RANKED, TextMatches, TextQuery
from tests.conftest import Started, closed, settings_for
from tests.databases import MAKERS
from tests.documents import COLLECTION, document, found, matches, remove, shared_documents, stands_right, write
from tests.shared import shared_rows

SPELLINGS = ['צה"ל', "צה״ל", "צה“ל", "צה''ל", "צהל", "צַהַ״ל", "ＩＤＦ", 'בצה"ל', "וצה״ל", "כשצה״ל"]


@contextmanager
def opened(started: Started, kind: str, folder: Path) -> Iterator[Session]:
    """Give a session on a new database of a kind."""
    folder.mkdir()
    with started.maker(kind).fresh(folder) as url:
        app = create_app(settings_for(url, folder))
        with app.app_context():
            yield db.session()
        closed(app)


def queries() -> list[Query]:
    texts = [row["text"] for row in shared_rows("heq_queries.jsonl")[::40]]
    texts += [one.title for one in shared_documents(400)[::20]]
    texts += ["חוק", 'חוק -תקציב "הצעת חוק"', "tag:בחירות", "python sqlite", "garlic onions -chicken"]
    found = [Query(text=text) for text in texts]
    return [*found, Query("חוק", tags=("כנסת",)), Query("חוק", language="he"), Query("חוק", not_tags=("כנסת",))]


def answers(session: Session) -> list[TextMatches]:
    documents = shared_documents(400)
    write(session, *documents)
    # What was written twice and taken away leaves no trace in any score.
    write(session, *(document(str(number), "חוק", "זמני " * number) for number in range(20)))
    remove(session, *map(str, range(20)))
    return [matches(session, query) for query in queries()]


def test_every_database_gives_the_same_documents_in_the_same_order(started: Started, tmp_path: Path) -> None:
    assert len(queries()) >= 50
    told = {}
    for kind in MAKERS:
        with opened(started, kind, tmp_path / kind) as session:
            told[kind] = answers(session)
    assert sum(len(one.documents) > 3 for one in told["sqlite"]) > 30
    for kind, others in told.items():
        for query, mine, other in zip(queries(), told["sqlite"], others, strict=True):
            assert other.documents.tolist() == mine.documents.tolist(), (kind, query)
            assert other.scores == pytest.approx(mine.scores, abs=1e-6), (kind, query)
            assert other.complete == mine.complete


def test_scores_are_0_to_1_and_fall(session: Session) -> None:
    for one in answers(session):
        assert ((one.scores > 0) & (one.scores <= 1)).all()
        assert (one.scores[:-1] >= one.scores[1:]).all()


@pytest.fixture
def library(session: Session) -> Session:
    write(
        session,
        document("army", 'תולדות צה"ל', "הקמת הצבא", "צבא", language="he"),
        document("army2", "חיילי צַהַ״ל", "IDF soldiers", "צבא", "חיילים"),
        document("house", "בית ספר חדש", "הילדים לומדים בבתי הספר בירושלים", "חינוך"),
        document("school", "הספר שבבית", "ספרים לילדים", "ספרות", "חינוך"),
        document("bread", "Baking bread", "Flour, water; the cities' bakeries", "cooking"),
        document("c", "C++ ו-C#", "שפות תכנות בגרסה 3.14 ו-1,000 שורות", "תכנות"),
    )
    write(session, document("house", "בית מרקחת", "תרופות", "חינוך"), collection="other")
    return session


@pytest.mark.parametrize("spelling", [one for one in SPELLINGS if one != "ＩＤＦ"])
def test_an_acronym_is_found_in_every_spelling(library: Session, spelling: str) -> None:
    assert set(found(library, spelling)) == {"army", "army2"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ילדים", {"house", "school"}),
        ("כשהילדים", {"house", "school"}),
        ("ירושלים", {"house"}),
        ("וּבִירוּשָׁלַיִם", {"house"}),
        ("city", {"bread"}),
        ("BAKERY", {"bread"}),
        ("ＩＤＦ", {"army2"}),
        ("C++", {"c"}),
        ("c#", {"c"}),
        ("3.14", {"c"}),
        ("1000", {"c"}),
        ("ירושליים", {"house"}),
        ("solders", {"army2"}),
        ("קקקקקק", set()),
        ("", set()),
        ("-צבא", set()),
    ],
)
def test_words_are_found_with_prefixes_plurals_points_and_typos(
    library: Session, words: str, expected: set[str]
) -> None:
    assert set(found(library, words)) == expected


def test_a_whole_word_counts_more_than_its_letters(library: Session) -> None:
    write(library, document("like", "ירושלמים", "ירושלמית"))
    assert found(library, "ירושלים")[0] == "house"


def test_an_excluded_word_leaves_its_documents_out(library: Session) -> None:
    assert set(found(library, "צה״ל -soldiers")) == {"army"}
    assert set(found(library, 'צה״ל -"הקמת הצבא"')) == {"army2"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ('"בית ספר"', ["house"]),
        ('"בֵּית־סֵפֶר"', ["house"]),
        ('"הספר שבבית"', ["school"]),
        ('"ספר בית"', []),
        ('"חדש הילדים"', []),
        ('"תולדות צה״ל"', ["army"]),
    ],
)
def test_a_phrase_stands_as_it_is_asked_for(library: Session, words: str, expected: list[str]) -> None:
    assert found(library, words, collection=COLLECTION) == expected


def test_filters_narrow_what_is_found(library: Session) -> None:
    assert set(found(library, "צה״ל", tags=("חיילים",))) == {"army2"}
    assert set(found(library, "צה״ל tag:צבא -tag:חיילים")) == {"army"}
    assert found(library, "צה״ל", tags=("אין תג כזה",)) == []
    assert found(library, "צה״ל tag:צבא -tag:צבא") == []
    assert set(found(library, "בית", collection="other")) == {"house"}
    assert len(matches(library, Query("בית", collection="other")).documents) == 1
    assert found(library, "צה״ל", language="he") == ["army"]
    assert found(library, "צה״ל", language="en") == ["army2"]


def test_any_document_can_be_scored_as_the_search_scores_it(library: Session) -> None:
    query = Query("ילדים בבית הספר")
    ranked = matches(library, query)
    asked = TextQuery(library, query.parts())
    every = list(library.execute(select(Document.id)).scalars())
    scores = asked.scores(every)
    assert set(scores) == set(every)
    for number, score in zip(ranked.documents.tolist(), ranked.scores.tolist(), strict=True):
        assert scores[number] == pytest.approx(score)
    assert scores[document_number(COLLECTION, "bread")] == 0


def test_an_empty_collection_finds_nothing(session: Session) -> None:
    assert found(session, "שלום") == []
    assert matches(session, Query("שלום")).complete


def test_of_a_common_word_every_document_is_ranked(session: Session) -> None:
    many = MOST_RANKED + 300
    write(session, *(document(str(number), f"חוק {number}", "מילים " * (number % 50)) for number in range(many)))
    write(session, document("best", "חוק חוק חוק"))
    common, rare = matches(session, Query("חוק")), matches(session, Query("1234"))
    assert (len(common.documents), common.total, common.complete) == (MOST_RANKED, many + 1, False)
    assert (len(rare.documents), rare.complete) == (1, True)
    assert found(session, "חוק")[0] == "best"


def test_an_exact_phrase_is_found_among_any_number_of_documents(session: Session) -> None:
    write(session, *(document(str(n), "דיון", f"הכנסת קיבלה חוק מספר {n}") for n in range(700)))
    write(session, document("phrase", "דיון", "רקע ארוך " * 60 + "ועל כן נחתם בחוק הכנסת הזה"))
    assert found(session, '"חוק הכנסת"') == ["phrase"]
    assert len(found(session, 'הכנסת -"חוק מספר"')) == 1


def test_segments_that_are_merged_change_no_answer(session: Session) -> None:
    documents = shared_documents(100)
    for one in documents:
        write(session, one)
    expected = [matches(session, query) for query in queries()]
    sizes = [segment.size for segment in listed_segments(session, DOCUMENTS)]
    assert len(sizes) < 32
    merge_segments(session, 65_535)
    compact_segments(session, len(documents))
    assert [segment.size for segment in listed_segments(session, DOCUMENTS)] == [100]
    for query, before, after in zip(queries(), expected, [matches(session, q) for q in queries()], strict=True):
        assert after.documents.tolist() == before.documents.tolist(), query
        assert after.scores == pytest.approx(before.scores, abs=1e-9), query
    stands_right(session)


@pytest.fixture
def books(session: Session) -> Session:
    rows = (("one", "Orla Brand", 1998), ("two", "Brand Orla", 2001), ("three", "Dana Levi", 1998))
    write(session, *(document(name, "A book", "of ships", extra={"Author": a, "year": y}) for name, a, y in rows))
    write(session, document("four", "Brand", "Orla wrote in 1998: a year of http://ships.example"))
    return session


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Orla Brand", {"one", "two", "four"}),
        ('author:"Orla Brand"', {"one"}),
        ("author:brand", {"one", "two"}),
        ("year:1998", {"one", "three"}),
        ("year:1998 -author:levi", {"one"}),
        ("ships year:2001", {"two"}),
        ("nocolumn:1998", {"one", "three", "four"}),
        ("author:nobody", set()),
        ("three", {"three"}),
    ],
)
def test_other_columns_and_the_own_id_are_searched(books: Session, words: str, expected: set[str]) -> None:
    assert set(found(books, words)) == expected


def test_the_best_documents_of_common_words_are_the_best(session: Session) -> None:
    """Compared with BM25 of every document, computed here one by one."""
    chance = random.Random(4)
    bodies = {
        str(number): " ".join(chance.choices(("חוק", "תקציב", "כנסת", "water", "energy"), k=chance.randint(5, 90)))
        for number in range(900)
    }
    write(session, *(document(name, "x", body) for name, body in bodies.items()))
    lengths = {name: len(body.split()) + 1 for name, body in bodies.items()}
    mean = sum(lengths.values()) / len(lengths)
    for word in ("energy", "water"):
        scores = {}
        for name, body in bodies.items():
            frequency = body.split().count(word)
            scores[name] = frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * lengths[name] / mean))
        best = sorted((score for score in scores.values()), reverse=True)[:10]
        answered = [scores[name] for name in found(session, word)[:10]]
        assert answered == pytest.approx(best), word
