"""search(): one query in, one page of results out, in a number of statements that does not grow with the hits."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, case, func, literal_column, select, text
from sqlalchemy.orm import Session

from encoders.lazy import LazyEncoder
from encoders.queue import EncoderAway, EncoderBusy
from indexes.version import Snapshot, read_snapshot
from models import Collection, Document, tag_key
from search.facets import MOST_COUNTED, facets
from search.hybrid import hybrid_ranking, semantic_ranking, text_ranking
from search.query import Query
from search.results import Found, Hit, Ranked, Ranking, Results, TagScore, Why
from search.semantic import Semantic
from search.shared_cache import SharedResults
from search.snippets import Wanted, found_words, marked, snippet
from search.tags import listing, near_tags, tag_ranking
from utils.hebrew import is_hebrew
from utils.sql import among, among_sql, by_dialect, number_list

EXCERPT = 4_000  # characters of a body that a page reads: a book does not come into memory for its snippet
MOST_SHOWN = 1_000
TAG_NAMES_SQLITE = """(SELECT json_group_array(name) FROM (
  SELECT tag.name FROM document_tag JOIN tag ON tag.id = document_tag.tag_id
  WHERE document_tag.document_id = document.id ORDER BY document_tag.place))"""
TAG_NAMES_POSTGRESQL = """(SELECT json_agg(tag.name ORDER BY document_tag.place) FROM document_tag
  JOIN tag ON tag.id = document_tag.tag_id WHERE document_tag.document_id = document.id)"""
WITHOUT_MEANING = Semantic(LazyEncoder(None, "none"))
# How long a search by meaning alone waits for the model; one by everything shows its words at once.
SEMANTIC_WAIT_S = 1.5


RANKINGS = {"text": text_ranking, "tags": tag_ranking, "semantic": semantic_ranking, "hybrid": hybrid_ranking}


def search(
    session: Session,
    query: Query,
    semantic: Semantic,
    wait_s: float | None = None,
    shared: SharedResults | None = None,
) -> Results:
    """Return a page of results; any query is valid. `wait_s` overrides how long to wait for the model.

    What another process found with the same model and data is taken from `shared`, without the model.
    """
    began = time.perf_counter()
    snapshot = read_snapshot(session) if query.mode == "text" else semantic.follow(session)
    key = shared.key(snapshot, query, semantic) if shared else None
    found = shared.get(key, query, semantic) if shared and key else None
    if found is None:
        if query.mode in ("semantic", "hybrid") and query.parts().wanted():
            semantic.ready(wait_s if wait_s is not None else SEMANTIC_WAIT_S if query.mode == "semantic" else 0)
        state = semantic.state  # before the search: a model that is ready a moment later joins in the next answer
        near: tuple[TagScore, ...] = ()
        try:
            if query.mode == "semantic" and state in ("loading", "unavailable"):
                ranking = text_only(session, query, snapshot)
            elif query.text.strip() or query.mode == "tags":
                ranking = RANKINGS[query.mode](session, query, semantic, snapshot)
            else:
                ranking = listing(session, query.filter())
            if query.mode == "tags":
                near, is_whole = near_tags(session, query, semantic)
                state = "ready" if is_whole and state == "loading" else state  # stored tags need no model
        except EncoderAway as away:
            state = "busy" if isinstance(away, EncoderBusy) else "unavailable"
            semantic.note(away)
            ranking = text_only(session, query, snapshot)
        found = page_of(session, query, ranking, near, state)
        if shared and key:
            shared.set(key, found, query, semantic)
    return Results(
        query=query,
        hits=hits(session, query, found.page),
        total=found.total,
        total_is_exact=found.total_is_exact,
        facets=found.facets,
        near_tags=found.near_tags,
        semantic_state=found.semantic_state,
        semantic_model=semantic.lazy.model,
        took_ms=(time.perf_counter() - began) * 1000,
        version=snapshot.version,
    )


def text_only(session: Session, query: Query, snapshot: Snapshot) -> Ranking:
    """Return what is found without the model."""
    mode = "hybrid" if query.mode == "semantic" else query.mode
    if not query.text.strip() and mode != "tags":
        return listing(session, query.filter())
    return RANKINGS[mode](session, query, WITHOUT_MEANING, snapshot)


def page_of(session: Session, query: Query, ranking: Ranking, near: tuple[TagScore, ...], state: str) -> Found:
    ranking = _ordered(session, ranking, query)
    shown = ranking.documents[:MOST_SHOWN]
    return Found(
        page=tuple(shown[(query.page - 1) * query.limit : query.page * query.limit]),
        total=len(shown),
        total_is_exact=ranking.complete and len(ranking.documents) <= MOST_SHOWN,
        facets=tuple(facets(session, [one.document for one in shown[:MOST_COUNTED]], query.all_tags())),
        near_tags=near,
        semantic_state=state,
    )


def _ordered(session: Session, ranking: Ranking, query: Query) -> Ranking:
    """Return the ranking in the order asked for, among what is shown at all."""
    if query.sort == "score" or not ranking.documents:
        return ranking
    places = {one.document: one for one in ranking.documents[:MOST_SHOWN]}
    order = "added_at DESC, id DESC" if query.sort == "newest" else "title, id"
    rows = text(f"SELECT id FROM document WHERE {among_sql(session, 'id', 'ids')} ORDER BY {order}")
    ordered = [places[one] for one in session.execute(rows.bindparams(number_list("ids", places))).scalars()]
    return replace(ranking, documents=[*ordered, *ranking.documents[MOST_SHOWN:]])


def hits(session: Session, query: Query, page: Sequence[Ranked]) -> tuple[Hit, ...]:
    """Return the page's documents with tags and snippets, in one statement."""
    numbers = [one.document for one in page]
    starts = {one.document: max(one.start - 200, 0) if one.end > EXCERPT else 0 for one in page}
    begin = case(starts, value=Document.id, else_=0) if starts else 0
    tag_names = by_dialect(session, sqlite=TAG_NAMES_SQLITE, postgresql=TAG_NAMES_POSTGRESQL)
    columns: tuple[Any, ...] = (
        Document.id, Document.own_id, Document.title, Document.language, Document.url, Document.source,
        func.substr(Document.body, begin + 1, EXCERPT).label("excerpt"), Collection.name.label("collection"),
        literal_column(tag_names).label("tag_names"),
    )  # fmt: skip
    rows = select(*columns).join(Collection, Collection.id == Document.collection_id).where(among(Document.id, numbers))
    found = {row.id: row for row in session.execute(rows)}
    wanted = Wanted.of(query.parts())
    return tuple(
        _hit(found[one.document], one, wanted, query, starts[one.document]) for one in page if one.document in found
    )


def _hit(row: Row[Any], one: Ranked, wanted: Wanted, query: Query, offset: int) -> Hit:
    title, excerpt = row.title, row.excerpt
    tags = tuple(json.loads(row.tag_names) if isinstance(row.tag_names, str) else row.tag_names or ())
    in_title, in_body = found_words(title, wanted), found_words(excerpt, wanted)
    words = [*(title[w.start : w.end] for w in in_title), *(excerpt[w.start : w.end] for w in in_body)]
    window = (one.start - offset, one.end - offset) if one.end else None
    asked = {tag_key(name) for name in query.all_tags()}
    of_filter = (TagScore(name, 1.0) for name in tags if tag_key(name) in asked)
    of_tags = tuple(dict.fromkeys((*one.tags, *of_filter)))
    return Hit(
        number=one.document,
        id=row.own_id,
        collection=row.collection,
        title=marked(title, in_title),
        snippet=snippet(excerpt, in_body, window),
        tags=tags,
        language=row.language,
        direction="rtl" if is_hebrew(title + " " + excerpt[:200]) else "ltr",
        url=row.url,
        source=row.source,
        score=round(one.score, 4),
        why=Why(one.text, one.semantic, of_tags, tuple(dict.fromkeys(words))[:8]),
    )
