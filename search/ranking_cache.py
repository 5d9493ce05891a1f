"""The latest rankings of this process: for the next page, another order, and the same search again."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from indexes.version import Snapshot
from search.query import PAGE_LIMIT, Query
from search.results import Ranking
from search.semantic import Semantic
from search.shared_cache import as_promised, results_key
from utils.lru import LRUCache

MOST_SHOWN = 1_000
MOST_RANKINGS, TTL_S = 12, 600  # a ranking takes up to 300 KB

_of_engines: WeakKeyDictionary[Engine, LRUCache[Ranking]] = WeakKeyDictionary()


def forget_rankings() -> None:
    _of_engines.clear()


def ranking_key(snapshot: Snapshot, query: Query, semantic: Semantic) -> str | None:
    """Return the key of a query's ranking, whatever the page and the order; None if it must not be cached."""
    return results_key(snapshot, replace(query, page=1, limit=PAGE_LIMIT, sort="score"), semantic)


def cached_ranking(session: Session, key: str | None) -> Ranking | None:
    return _rankings(session).get(key) if key else None


def cache_ranking(
    session: Session, key: str | None, ranking: Ranking, state: str, query: Query, semantic: Semantic
) -> None:
    """Keep the documents of a ranking that can be shown, unless it was made without the model that the key promises."""
    if key and as_promised(state, query, semantic):
        shown = ranking.documents[:MOST_SHOWN]
        is_complete = ranking.complete and len(shown) == len(ranking.documents)
        _rankings(session).set(key, replace(ranking, documents=shown, complete=is_complete))


def _rankings(session: Session) -> LRUCache[Ranking]:
    engine = session.get_bind().engine
    return _of_engines.setdefault(engine, LRUCache(MOST_RANKINGS, ttl_s=TTL_S))
