"""Search results and embeddings in Redis, keyed by data version and model."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from indexes.version import Snapshot
from search.matcher import QueryMatcher
from search.query import Query
from search.results import Correction, Facet, Ranked, RankedPage, TagScore
from search.semantic import Semantic
from utils.int8 import Floats
from utils.terms import INDEX_VERSION

if TYPE_CHECKING:
    from utils.redis_cache import RedisCache

FORMAT = 3  # raise it when the stored values or the ranking change, so that versions do not read each other's values
UNIT = (0.99, 1.01)  # the squared length of a valid embedding


class SharedEmbeddings:
    """Embeddings of queries, and of skills that are not stored tags, as little-endian float32, by model and text."""

    def __init__(self, cache: RedisCache, query_ttl_s: int, skill_ttl_s: int) -> None:
        self._cache, self._ttl_s = cache, {"embeddings": query_ttl_s, "skills": skill_ttl_s}

    def get(self, model: int, kind: str, text: str, dim: int) -> Floats | None:
        """Return the embedding, float32 of shape (dim,) and length 1; None for anything else."""
        value = self._cache.get(cache_kind(kind), cache_key([FORMAT, model, text]))
        if value is None:
            return None
        if len(value) == 4 * dim:
            vector: Floats = np.frombuffer(value, "<f4").astype(np.float32)
            if UNIT[0] < float(vector @ vector) < UNIT[1]:
                return vector
        self._cache.count_unreadable(cache_kind(kind))
        return None

    def set(self, model: int, kind: str, text: str, vector: Floats) -> None:
        name = cache_kind(kind)
        self._cache.set(name, cache_key([FORMAT, model, text]), vector.astype("<f4").tobytes(), self._ttl_s[name])


def cache_kind(kind: str) -> str:
    return "skills" if kind == "tag" else "embeddings"


class SharedResults:
    """Ranked pages as JSON. The documents are not in them: each response reads those from the database."""

    def __init__(self, cache: RedisCache, ttl_s: int) -> None:
        self._cache, self._ttl_s = cache, ttl_s

    def get(self, key: str, query: Query, semantic: Semantic) -> RankedPage | None:
        value = self._cache.get("results", key)
        if value is None:
            return None
        state = "ready" if uses_model(query) and not semantic.is_off else semantic.state
        try:
            return from_json(json.loads(value), state)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self._cache.count_unreadable("results")
            return None

    def set(self, key: str, ranked_page: RankedPage, query: Query, semantic: Semantic) -> None:
        """Store results, unless they were ranked without the model that the key promises."""
        if as_promised(ranked_page.semantic_state, query, semantic):
            self._cache.set("results", key, json.dumps(to_json(ranked_page)).encode(), self._ttl_s)


def results_key(snapshot: Snapshot, query: Query, semantic: Semantic) -> str | None:
    """Return the key of a query's current results; None if they must not be cached.

    It covers the whole state row: the version, which grows with each committed change, and the totals, which tell
    a database from one that was restored or created anew under the same address.
    """
    model = "" if not uses_model(query) or semantic.is_off else semantic.model.key
    if model is None or (model != "" and semantic.lazy.state == "unavailable"):
        return None
    return cache_key([FORMAT, INDEX_VERSION, astuple(snapshot), model, semantic.is_off, asdict(query)])


def as_promised(state: str, query: Query, semantic: Semantic) -> bool:
    """Return whether results ranked in this state of the model are those that `results_key` promises."""
    return state == semantic.state == "ready" or semantic.is_off or not uses_model(query)


def uses_model(query: Query) -> bool:
    """Whether the model takes part in the ranking."""
    return query.mode == "tags" or (query.mode in ("semantic", "hybrid") and bool(query.parts().wanted()))


def cache_key(values: list[Any]) -> str:
    return blake2b(json.dumps(values, ensure_ascii=False).encode(), digest_size=16).hexdigest()


def to_json(ranked_page: RankedPage) -> dict[str, Any]:
    return {
        "page": [astuple(row) for row in ranked_page.page],
        "total": ranked_page.total,
        "exact": ranked_page.total_is_exact,
        "facets": [astuple(facet) for facet in ranked_page.facets],
        "near": [astuple(tag) for tag in ranked_page.near_tags],
        "matcher": astuple(ranked_page.matcher),
        "weak": ranked_page.is_weak,
        "corrections": [astuple(correction) for correction in ranked_page.corrections],
    }


def from_json(values: dict[str, Any], state: str) -> RankedPage:
    """Parse what `to_json` returned; raises ValueError, TypeError or KeyError for anything else."""
    return RankedPage(
        page=tuple(ranked(*row) for row in values["page"]),
        total=int(values["total"]),
        total_is_exact=bool(values["exact"]),
        facets=tuple(Facet(str(tag), int(count)) for tag, count in values["facets"]),
        near_tags=tag_scores_from(values["near"]),
        semantic_state=state,
        matcher=matcher_from(*values["matcher"]),
        is_weak=bool(values["weak"]),
        corrections=tuple(Correction(str(typed), tuple(map(str, shown))) for typed, shown in values["corrections"]),
    )


def ranked(
    document: int, score: float, text: float | None, semantic: float | None, start: int, end: int, tags: Any
) -> Ranked:
    return Ranked(
        int(document),
        float(score),
        None if text is None else float(text),
        None if semantic is None else float(semantic),
        int(start),
        int(end),
        tag_scores_from(tags),
    )


def tag_scores_from(pairs: Any) -> tuple[TagScore, ...]:
    return tuple(TagScore(str(tag), float(score)) for tag, score in pairs)


def matcher_from(weights: Any, phrases: Any, word_of: Any) -> QueryMatcher:
    return QueryMatcher(
        {str(form): float(weight) for form, weight in weights.items()},
        tuple(tuple(map(str, phrase)) for phrase in phrases),
        {str(form): str(word) for form, word in word_of.items()},
    )
