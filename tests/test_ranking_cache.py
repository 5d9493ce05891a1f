"""The latest rankings: the next page and another order read no postings, and a change is found at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from indexes.version import read_snapshot
from indexing.documents import NewDocument, delete_documents, write_documents
from models import document_number
from search.query import Query
from search.ranking_cache import MOST_RANKINGS, cached_ranking, forget_rankings, ranking_key
from search.search import MOST_SHOWN, search
from tests.collections import fill, off_side
from tests.test_search import counted, many


def postings_read(statements: list[str]) -> int:
    return sum("segment_block" in statement for statement in statements)


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_the_next_page_and_another_order_read_no_postings(session: Session, mode: str) -> None:
    side = fill(session, many(30))
    query = Query("common", mode)
    first = search(session, query, side)
    for other in (replace(query, page=2), replace(query, sort="title"), query, replace(query, limit=5)):
        with counted(session) as statements:
            again = search(session, other, side)
        assert not postings_read(statements)
        assert (again.total, again.facets, again.corrections) == (first.total, first.facets, first.corrections)
    forget_rankings()
    with counted(session) as statements:
        second = search(session, replace(query, page=2), side)
    assert postings_read(statements)
    assert second.hits == search(session, replace(query, page=2), side).hits
    assert not {hit.id for hit in first.hits} & {hit.id for hit in second.hits}


@pytest.mark.parametrize("mode", ["text", "hybrid", "semantic"])
def test_a_change_is_found_at_once(session: Session, mode: str) -> None:
    side = fill(session, many(5))
    query = Query("common", mode, limit=100)
    before = search(session, query, side).total
    side = fill(session, [NewDocument("new", title="a new one", body="common words")])
    assert search(session, query, side).total == before + 1
    delete_documents(session, [document_number("house", "new")])
    session.commit()
    assert search(session, query, side).total == before


def test_what_a_filter_or_another_mode_finds_is_its_own(session: Session) -> None:
    side = fill(session, many(6))
    write_documents(session, "other", [NewDocument("apart", title="apart", body="common")])
    whole = search(session, Query("common", "text"), side)
    part = search(session, Query("common", "text", collection="other"), side)
    assert (whole.total, part.total) == (7, 1)
    assert search(session, Query("common", "hybrid"), off_side()).total == whole.total


def test_no_more_rankings_are_kept_than_the_limit_and_none_longer_than_is_shown(session: Session) -> None:
    side = off_side()
    write_documents(session, "house", many(MOST_SHOWN + 300))
    queries = [Query(f"common -word{number}", "text") for number in range(MOST_RANKINGS + 3)]
    pages = [search(session, query, side) for query in queries]
    assert not pages[0].total_is_exact
    snapshot = read_snapshot(session)
    kept = [cached_ranking(session, ranking_key(snapshot, query, side)) for query in queries]
    assert sum(ranking is not None for ranking in kept) == MOST_RANKINGS
    assert all(len(ranking.documents) == MOST_SHOWN for ranking in kept if ranking)
    assert search(session, queries[-1], side).total_is_exact is False
