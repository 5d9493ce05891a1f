"""search(): one query in, one page of results out, in a fixed number of statements."""

from __future__ import annotations

import time
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.orm import Session

from encoders.lazy import LazyEncoder
from encoders.queue import EncoderBusy, EncoderUnavailable
from indexes.access import hidden_collections
from indexes.version import Snapshot, read_snapshot
from search.hits import hits
from search.hybrid import hybrid_ranking, semantic_ranking, text_ranking
from search.query import Query
from search.ranking_cache import MOST_SHOWN, cache_ranking, cached_ranking, ranking_key
from search.results import Ranked, RankedPage, Ranking, ResultsPage, TagScore
from search.semantic import Semantic
from search.shared_cache import SharedResults, results_key
from search.tags import MOST_COUNTED, facets, listing, similar_tags, tag_ranking
from utils.sql import among_sql, number_list

WITHOUT_MEANING = Semantic(LazyEncoder(None, "none"))
# How long semantic search waits for the model; hybrid search shows keyword hits at once.
SEMANTIC_WAIT_S = 1.5


RANKINGS = {"text": text_ranking, "tags": tag_ranking, "semantic": semantic_ranking, "hybrid": hybrid_ranking}


def search(
    session: Session,
    query: Query,
    semantic: Semantic,
    wait_s: float | None = None,
    shared: SharedResults | None = None,
) -> ResultsPage:
    """Return a page of results for any query, of what the session may read; `wait_s` overrides the wait for the model.

    Results that another process shared for the same model and data are taken from `shared`, without the model.
    """
    started = time.perf_counter()
    query = replace(query, hidden=hidden_collections(session))
    snapshot = read_snapshot(session) if query.mode == "text" else semantic.model.follow(session)
    key = results_key(snapshot, query, semantic) if shared else None
    ranked = shared.get(key, query, semantic) if shared and key else None
    if ranked is None:
        if query.mode in ("semantic", "hybrid") and query.parts().wanted():
            semantic.lazy.load(wait_s if wait_s is not None else SEMANTIC_WAIT_S if query.mode == "semantic" else 0)
        state = semantic.state  # read before the search: a model that becomes ready during it counts for the next one
        near: tuple[TagScore, ...] = ()
        try:
            if query.mode == "semantic" and state in ("loading", "unavailable"):
                ranking = text_only(session, query, snapshot)
            elif query.mode == "tags":
                ranking = tag_ranking(session, query, semantic, snapshot)
            elif query.text.strip():
                ranking = _ranking(session, query, semantic, snapshot, state)
            else:
                ranking = listing(session, query.filter())
            if query.mode == "tags":
                near, is_whole = similar_tags(session, query, semantic)
                state = "ready" if is_whole and state == "loading" else state  # stored tags need no model
        except EncoderUnavailable as error:
            state = "busy" if isinstance(error, EncoderBusy) else "unavailable"
            semantic.note(error)
            ranking = text_only(session, query, snapshot)
        ranked = page_of(session, query, ranking, near, state)
        if shared and key:
            shared.set(key, ranked, query, semantic)
    return ResultsPage(
        query=query,
        hits=hits(session, query, ranked.page, ranked.matcher),
        total=ranked.total,
        total_is_exact=ranked.total_is_exact,
        facets=ranked.facets,
        near_tags=ranked.near_tags,
        corrections=ranked.corrections,
        is_weak=ranked.is_weak,
        semantic_state=ranked.semantic_state,
        semantic_model=semantic.lazy.model,
        took_ms=(time.perf_counter() - started) * 1000,
        version=snapshot.version,
        is_indexing=snapshot.is_indexing,
        indexed_percent=snapshot.indexed_percent,
    )


def whole_ranking(session: Session, query: Query, semantic: Semantic, most: int) -> list[Ranked]:
    """Return up to `most` matching documents in the order of the query; without the model while it is not ready."""
    query = replace(query, hidden=hidden_collections(session), most=most)
    snapshot = read_snapshot(session) if query.mode == "text" else semantic.model.follow(session)
    if not query.text.strip() and query.mode != "tags":
        ranking = listing(session, query.filter(), most)
    elif query.mode in ("semantic", "hybrid") and query.parts().wanted() and not semantic.lazy.load(SEMANTIC_WAIT_S):
        ranking = text_only(session, query, snapshot)
    else:
        try:
            ranking = RANKINGS[query.mode](session, query, semantic, snapshot)
        except EncoderUnavailable as error:
            semantic.note(error)
            ranking = text_only(session, query, snapshot)
    return list(_ordered(session, ranking, query, most).documents[:most])


def _ranking(session: Session, query: Query, semantic: Semantic, snapshot: Snapshot, state: str) -> Ranking:
    """Return the ranking of a query with words, from the cache if nothing has changed."""
    key = ranking_key(snapshot, query, semantic)
    cached = cached_ranking(session, key)
    if cached is not None:
        return cached
    ranking = RANKINGS[query.mode](session, query, semantic, snapshot)
    cache_ranking(session, key, ranking, state, query, semantic)
    return ranking


def text_only(session: Session, query: Query, snapshot: Snapshot) -> Ranking:
    """Return the ranking without the model."""
    mode = "hybrid" if query.mode == "semantic" else query.mode
    if not query.text.strip() and mode != "tags":
        return listing(session, query.filter(), query.most)
    return RANKINGS[mode](session, query, WITHOUT_MEANING, snapshot)


def page_of(session: Session, query: Query, ranking: Ranking, near: tuple[TagScore, ...], state: str) -> RankedPage:
    ranking = _ordered(session, ranking, query)
    shown = ranking.documents[:MOST_SHOWN]
    return RankedPage(
        page=tuple(shown[(query.page - 1) * query.limit : query.page * query.limit]),
        total=len(shown),
        total_is_exact=ranking.complete and len(ranking.documents) <= MOST_SHOWN,
        facets=tuple(facets(session, [item.document for item in shown[:MOST_COUNTED]], query.all_tags())),
        near_tags=near,
        semantic_state=state,
        corrections=ranking.corrections,
        is_weak=ranking.is_weak,
        matcher=ranking.matcher,
    )


def _ordered(session: Session, ranking: Ranking, query: Query, most: int = MOST_SHOWN) -> Ranking:
    """Return the first documents of a ranking in the requested order."""
    if query.sort == "score" or not ranking.documents:
        return ranking
    places = {item.document: item for item in ranking.documents[:most]}
    order = "added_at DESC, id DESC" if query.sort == "newest" else "title, id"
    rows = text(f"SELECT id FROM document WHERE {among_sql(session, 'id', 'ids')} ORDER BY {order}")
    numbers = session.execute(rows.bindparams(number_list("ids", places))).scalars()
    ordered = [places[number] for number in numbers]
    return replace(ranking, documents=[*ordered, *ranking.documents[most:]])
