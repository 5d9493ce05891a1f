"""The whole search: one score, stable pages, facets, reasons, and a fixed number of statements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from indexing.documents import NewDocument
from search.query import MODES, Query, parse_text
from search.ranking_cache import forget_rankings
from search.search import search
from search.semantic import Semantic
from search.tags import named_in
from tests.collections import fill, off_side
from tests.strange import strange_texts


@contextmanager
def counted(session: Session) -> Iterator[list[str]]:
    """Collect the statements that a block executes."""
    statements: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def many(count: int) -> list[NewDocument]:
    return [
        NewDocument(f"d{n}", f"common title {n}", f"common text, word{n} and word{n % 7}", (f"tag{n % 5}", "every"))
        for n in range(count)
    ]


@pytest.mark.parametrize("mode", MODES)
def test_a_page_takes_as_many_statements_for_ten_hits_as_for_one(session: Session, mode: str) -> None:
    side = fill(session, many(60))
    used = []
    for text, limit in (("common word3", 1), ("common word3", 10), ("common", 50)):
        query = Query(text if mode != "tags" else "every", mode, limit=limit)
        search(session, query, side)
        forget_rankings()
        with counted(session) as statements:
            assert search(session, query, side).hits
        used.append(len(statements))
    assert len(set(used)) == 1, used
    assert used[0] <= 14


@pytest.mark.parametrize("mode", MODES)
def test_any_text_is_answered_in_every_mode(session: Session, mode: str) -> None:
    side = fill(session)
    for text in strange_texts(60):
        search(session, Query.from_args(FakeArgs(text), mode), side)


class FakeArgs:
    def __init__(self, text: str) -> None:
        self._text = text

    def get(self, key: str, /) -> str | None:
        return self._text if key == "q" else None

    def getlist(self, key: str, /) -> list[str]:
        return [self._text] if key == "not_tag" else []


def test_hybrid_joins_words_and_meaning_and_says_why(session: Session) -> None:
    results = search(session, Query("זכויות העובדים"), fill(session))
    first = results.hits[0]
    assert first.id == "union"
    assert first.why.text
    assert first.why.semantic
    assert "זכויות" in first.why.words
    assert first.direction == "rtl"
    assert any(segment.found and segment.text == "זכויות" for segment in first.title)


def test_a_score_does_not_depend_on_the_page_or_the_limit(session: Session) -> None:
    side = fill(session, many(45))
    whole = [(hit.id, hit.score) for hit in search(session, Query("common word3", limit=100), side).hits]
    paged = [
        (hit.id, hit.score) for page in range(1, 6)
        for hit in search(session, Query("common word3", page=page, limit=10), side).hits
    ]  # fmt: skip
    assert paged == whole
    assert len({name for name, _ in whole}) == len(whole)


def test_a_page_beyond_the_end_is_empty_and_keeps_the_total(session: Session) -> None:
    results = search(session, Query("common", "text", page=99), fill(session, many(20)))
    assert (results.hits, results.total, results.pages) == ((), 20, 2)


def test_facets_count_the_hits_and_leave_out_what_is_asked_for(session: Session) -> None:
    results = search(session, Query("common", "text", tags=("every",)), fill(session, many(20)))
    assert {facet.tag: facet.count for facet in results.facets} == {f"tag{n}": 4 for n in range(5)}


def test_a_tag_alone_lists_its_documents_newest_first(session: Session) -> None:
    side = fill(session)
    results = search(session, Query(tags=("זכויות",), sort="title"), side)
    assert [hit.id for hit in results.hits] == ["union", "rent"]
    assert [tag.tag for tag in results.hits[0].why.tags] == ["זכויות"]


def test_several_tags_must_all_hold_and_excluded_ones_must_not(session: Session) -> None:
    side = fill(session, many(20))
    both = search(session, Query(tags=("every", "tag2"), limit=100), side)
    assert {hit.id for hit in both.hits} == {f"d{n}" for n in range(20) if n % 5 == 2}
    without = search(session, Query("tag:every -tag:tag2", limit=100), side)
    assert {hit.id for hit in without.hits} == {f"d{n}" for n in range(20) if n % 5 != 2}


def test_words_typed_in_tags_mode_find_the_tag_and_those_that_begin_so(session: Session) -> None:
    side = fill(session, many(20))
    results = search(session, Query("tag", "tags", limit=100), side)
    assert results.total == 20
    assert results.hits[0].why.tags[0].score < 1
    exact = search(session, Query("tag3", "tags", limit=100), side)
    assert {hit.why.tags[0].score for hit in exact.hits} == {1.0}


def test_an_excluded_word_or_phrase_keeps_a_near_document_out(session: Session) -> None:
    side = fill(session)
    for mode in ("hybrid", "semantic", "text"):
        assert "bread" not in [hit.id for hit in search(session, Query("flour -patience", mode), side).hits]
        assert "bread" not in [hit.id for hit in search(session, Query('flour -"good bread"', mode), side).hits]
        assert [hit.id for hit in search(session, Query('"good bread"', mode), side).hits] == ["bread"]


def test_only_excluded_words_list_the_rest(session: Session) -> None:
    results = search(session, Query("-bread"), fill(session))
    assert {hit.id for hit in results.hits} == {"rent", "union", "soup", "cache"}


@pytest.mark.parametrize("mode", MODES)
def test_an_unknown_tag_or_collection_gives_no_hits(session: Session, mode: str) -> None:
    side: Semantic = fill(session)
    assert search(session, Query("bread", mode, tags=("no such tag",)), side).total == 0
    assert search(session, Query("bread", mode, collection="nowhere"), side).total == 0


def test_sorted_by_newest_or_title_the_same_documents_come(session: Session) -> None:
    side = fill(session)
    by = {sort: [hit.id for hit in search(session, Query("זכויות", "text", sort=sort), side).hits]
          for sort in ("score", "newest", "title")}  # fmt: skip
    assert sorted(by["score"]) == sorted(by["newest"]) == sorted(by["title"])


def test_a_snippet_shows_where_the_words_stand_in_a_long_text(session: Session) -> None:
    body = "Nothing here. " * 200 + "The needle lies in this sentence. " + "Nothing there. " * 50
    side = fill(session, [NewDocument("hay", "Haystack", body)])
    (hit,) = search(session, Query("needle", "text"), side).hits
    assert "needle" in [segment.text for segment in hit.snippet if segment.found]
    assert len(hit.plain_snippet) < 300


def test_what_is_nowhere_is_not_found(session: Session) -> None:
    side = fill(session)
    for text in ("zzqx wvkj", "קטזגפ"):
        assert search(session, Query(text, "text"), side).total == 0


def test_a_tag_that_the_query_names_finds_documents_that_never_say_it(session: Session) -> None:
    side = fill(session)
    hits = {hit.id: hit for hit in search(session, Query("בבישול"), side).hits}
    assert "soup" in hits
    assert [tag.tag for tag in hits["soup"].why.tags] == ["בישול"]
    (hit,) = search(session, Query("בבישול", "text"), side).hits
    assert [(match.name, match.plain_value) for match in hit.why.fields] == [("tags", "בישול")]


def test_a_named_tag_raises_a_document_above_its_equal(session: Session) -> None:
    twins = [
        NewDocument("plain", "זכויות", "זכויות של שוכרים."),
        NewDocument("tagged", "זכויות", "זכויות של שוכרים.", ("שוכרים",)),
    ]
    first, second = search(session, Query("זכויות שוכרים"), fill(session, twins)).hits
    assert (first.id, second.id) == ("tagged", "plain")
    assert first.score > second.score
    assert second.why.tags == ()


PUNCTUATED = (
    ".NET", "Node.js", "UI/UX", "CI/CD", "PL/SQL", "C++", "C#", "R&D", "F#/.NET", "Safety (health)", "פנסיה, ביטוח",
    "ועדת החוקה, חוק ומשפט",
)  # fmt: skip


@pytest.mark.parametrize("tag", PUNCTUATED)
@pytest.mark.parametrize("template", ["{}", "{} developer", "a senior {}, please", "({}) wanted", "בתחום {}"])
def test_a_tag_with_punctuation_is_named_in_the_box(session: Session, tag: str, template: str) -> None:
    fill(session, [NewDocument("job", "משרה", "", (tag,)), NewDocument("other", "אחרת", "", ("net", "ui", "c"))])
    named = named_in(session, parse_text(template.format(tag)))
    assert tag in [name for name, _ in named.tags.values()]
    if template == "{}":
        first = search(session, Query(tag), off_side()).hits[0]
        assert (first.id, [score.tag for score in first.why.tags]) == ("job", [tag])


@pytest.mark.parametrize("tag", ["use CAD, CAE & CAM software in design", "חוק, ביטחון, בריאות ורווחה בעבודה"])
def test_a_whole_query_names_a_tag_of_any_length(session: Session, tag: str) -> None:
    fill(session, [NewDocument("job", "משרה", "", (tag,)), NewDocument("other", "אחרת", "", ("CAD",))])
    assert [score.tag for score in search(session, Query(tag), off_side()).hits[0].why.tags] == [tag]
    assert not named_in(session, parse_text("!?")).tags


def test_tags_are_named_by_a_fixed_number_of_names_however_long_the_query(session: Session) -> None:
    text = ".(a/b)!, " * 111
    fill(session)
    with counted(session) as statements:
        assert not named_in(session, parse_text(text)).tags
    assert len(statements) == 1
