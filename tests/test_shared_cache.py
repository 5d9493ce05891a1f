"""Results shared through Redis: the same results for less work, and never those of other data or another model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from encoders.lazy import LazyEncoder
from indexes.version import read_snapshot
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from models import State, document_number
from search.query import Query
from search.results import Correction, Ranked, RankedPage, ResultsPage
from search.search import search
from search.semantic import Semantic
from search.shared_cache import SharedEmbeddings, SharedResults, from_json, results_key, to_json
from tests.collections import fill, off_side
from tests.fakes import HashedWords
from tests.redis_server import RedisServer, serving_redis
from tests.test_redis_cache import open_cache, wait_connected
from tests.test_search import counted
from utils.redis_cache import RedisCache

QUERIES = (
    Query("good bread", "text"),
    Query("good bread", "hybrid"),
    Query("זכויות עובדים", "semantic"),
    Query("", "tags", tags=("זכויות",)),
    Query("bread", "hybrid", sort="title", limit=1, page=2),
    Query("-bread", "hybrid"),
    Query("no such word anywhere", "text"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with serving_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def cache(server: RedisServer) -> Iterator[RedisCache]:
    server.client.flushall()
    with open_cache(server.url) as cache:
        wait_connected(cache)
        yield cache


@pytest.fixture
def shared(cache: RedisCache) -> SharedResults:
    return SharedResults(cache, 60)


def same(one: ResultsPage, other: ResultsPage) -> bool:
    return replace(one, took_ms=0.0) == replace(other, took_ms=0.0)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.mode} {query.text}")
def test_a_shared_answer_is_the_same_in_fewer_statements(
    session: Session, cache: RedisCache, shared: SharedResults, query: Query
) -> None:
    side = fill(session)
    side.lazy.load(60)
    first = search(session, query, side, shared=shared)
    with counted(session) as statements:
        again = search(session, query, side, shared=shared)
    assert same(first, again)
    assert same(first, search(session, query, side))
    assert (cache.counts["results_hits"], cache.counts["results_misses"]) == (1, 1)
    assert len(statements) <= 4


def test_a_page_takes_as_many_statements_shared_for_one_hit_as_for_all(session: Session, shared: SharedResults) -> None:
    side = fill(session)
    used = []
    for limit in (1, 10):
        query = Query("bread עדשים", "text", limit=limit)
        search(session, query, side, shared=shared)
        with counted(session) as statements:
            search(session, query, side, shared=shared)
        used.append(len(statements))
    assert used == [2, 2]


def test_a_document_that_was_written_changed_or_deleted_is_never_served_as_it_was(
    session: Session, shared: SharedResults
) -> None:
    side = fill(session)
    side.lazy.load(60)

    def found(words: str) -> list[tuple[str, str]]:
        hits = search(session, Query(words, "text"), side, shared=shared).hits
        return [(hit.plain_title, hit.plain_snippet) for hit in hits]

    assert found("telescope") == found("telescope") == []
    write_documents(session, "house", [NewDocument("sky", "Telescope", "Stars.")])
    assert found("telescope") == found("telescope") == [("Telescope", "Stars.")]
    write_documents(session, "house", [NewDocument("sky", "Telescope", "Moons.")])
    assert found("telescope") == found("telescope") == [("Telescope", "Moons.")]
    write_documents(session, "house", [NewDocument("sky", "Garden", "Roses.")])
    assert found("telescope") == found("telescope") == []
    assert found("roses") == [("Garden", "Roses.")]
    delete_documents(session, [document_number("house", "sky")])
    assert found("roses") == found("telescope") == []


def test_an_embedding_that_is_made_is_found_at_once(session: Session, shared: SharedResults) -> None:
    side = fill(session)
    side.lazy.load(60)
    write_documents(session, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    query = Query("telescope stars", "semantic")
    assert "sky" not in [hit.id for hit in search(session, query, side, shared=shared).hits]
    assert side.lazy.encoder
    embed(session, side.lazy.encoder)
    assert search(session, query, side, shared=shared).hits[0].id == "sky"


def test_a_database_that_was_put_back_at_the_same_version_has_answers_of_its_own(
    session: Session, shared: SharedResults
) -> None:
    side = fill(session)
    write_documents(session, "house", [NewDocument("sky", "Telescope", "Stars.")])
    query = Query("telescope", "text")
    assert search(session, query, side, shared=shared).total == 1
    delete_documents(session, [document_number("house", "sky")])
    session.execute(update(State).values(version=State.version - 1))
    assert search(session, query, side, shared=shared).total == 0


def test_results_without_meaning_are_not_served_as_with_it(session: Session, shared: SharedResults) -> None:
    side = fill(session)
    loading = Semantic(LazyEncoder(HashedWords, "hashed"), side.model.key, manifest=HashedWords.manifest)
    query = Query("זכויותיהם של עובדים")
    words = search(session, query, off_side(), shared=shared)
    assert words.semantic_state == "off"
    side.lazy.load(60)
    whole = search(session, query, side, shared=shared)
    assert whole.semantic_state == "ready"
    assert {hit.why.semantic for hit in whole.hits} != {None}
    assert {hit.why.semantic for hit in words.hits} <= {None}
    # A process that has not loaded the model shows what another found with it, and need not load it.
    theirs = search(session, query, loading, shared=shared)
    assert theirs.hits == whole.hits
    assert loading.lazy.state == "idle"
    assert search(session, query, off_side(), shared=shared).hits == words.hits


def test_results_found_while_the_model_is_away_are_not_cached(
    session: Session, server: RedisServer, shared: SharedResults
) -> None:
    side = fill(session)
    side.unload("memory is short", 60)
    query = Query("זכויות עובדים")
    assert search(session, query, side, shared=shared).semantic_state == "unavailable"
    assert server.client.dbsize() == 0


def test_each_model_has_answers_of_its_own(session: Session, shared: SharedResults) -> None:
    side, query = fill(session), Query("bread", "semantic")
    other = fill(session)
    other.model.key = 7
    now = read_snapshot(session)
    assert results_key(now, query, side) != results_key(now, query, other)
    assert results_key(now, Query("bread", "text"), side) == results_key(now, Query("bread", "text"), other)


@pytest.mark.parametrize(
    "value",
    [b"not json", b"[]", b"{}", b'{"page": [[1]], "total": 1, "exact": true, "facets": [], "near": []}', b"[" * 9_000],
)
def test_a_value_of_another_version_is_ignored(
    session: Session, server: RedisServer, cache: RedisCache, shared: SharedResults, value: bytes
) -> None:
    side, query = fill(session), Query("bread", "text")
    right = search(session, query, side, shared=shared)
    (key,) = server.client.keys()
    server.client.set(key, value)
    assert same(right, search(session, query, side, shared=shared))
    assert cache.counts["results_wrong"] == 1
    assert json.loads(server.client.get(key) or b"")["total"] == right.total


def test_without_redis_nothing_is_cached_and_results_are_the_same(session: Session, tmp_path: Path) -> None:
    away = RedisServer(tmp_path)
    side = fill(session)
    with open_cache(away.url) as cache:
        shared = SharedResults(cache, 60)
        for query in QUERIES:
            assert same(search(session, query, side, shared=shared), search(session, query, side))


def test_an_embedding_of_a_query_is_shared_to_the_bit(server: RedisServer, cache: RedisCache) -> None:
    embeddings = SharedEmbeddings(cache, 60, 30)
    vector = HashedWords().encode_queries(["bread"])[0]
    embeddings.set(5, "query", "לחם", vector)
    found = embeddings.get(5, "query", "לחם", len(vector))
    assert found is not None
    assert found.dtype == np.float32
    assert np.array_equal(found, vector)
    assert embeddings.get(6, "query", "לחם", len(vector)) is None
    assert embeddings.get(5, "tag", "לחם", len(vector)) is None
    assert embeddings.get(5, "query", "לחם", 7) is None
    (key,) = server.client.keys()
    for wrong in (b"short", vector.tobytes() + b"\0\0\0\0", (vector * 2).tobytes(), (vector * np.nan).tobytes()):
        server.client.set(key, wrong)
        assert embeddings.get(5, "query", "לחם", len(vector)) is None
    assert cache.counts["embeddings_wrong"] == 5


def test_a_process_does_not_encode_what_another_did(session: Session, cache: RedisCache) -> None:
    first, second = fill(session), fill(session)
    for side in (first, second):
        side.lazy.load(60)
        side.shared = SharedEmbeddings(cache, 60, 30)
    search(session, Query("good bread", "semantic"), first)
    encoder = second.lazy.encoder
    assert isinstance(encoder, HashedWords)
    before = len(encoder.calls)
    search(session, Query("good bread", "semantic"), second)
    assert len(encoder.calls) == before


def test_a_skill_has_a_ttl_of_its_own(session: Session, server: RedisServer, cache: RedisCache) -> None:
    side = fill(session)
    side.shared = SharedEmbeddings(cache, 600, 30)
    side.similar_tags(session, ["baking bread", "דיור"], None, 10)
    assert cache.counts["skills_misses"] == 1  # the other is a stored tag
    (key,) = server.client.keys("*:skills:*")
    assert 0 < server.client.ttl(key) <= 30
    other = fill(session)
    other.shared = side.shared
    assert other.similar_tags(session, ["baking bread"], None, 10) == side.similar_tags(
        session, ["baking bread"], None, 10
    )
    assert cache.counts["skills_hits"] == 1


def test_a_page_comes_back_with_its_corrections() -> None:
    corrections = (Correction("gardning", ("gardening", "gardens")),)
    ranked_page = RankedPage((Ranked(7, 0.5, text=0.5),), 1, True, (), (), "off", corrections)
    assert from_json(json.loads(json.dumps(to_json(ranked_page))), "off") == ranked_page
