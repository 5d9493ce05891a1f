"""Search results as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from search.results import Hit, ResultsPage


def results_json(results: ResultsPage) -> dict[str, Any]:
    query = results.query
    return {
        "query": query.text,
        "mode": query.mode,
        "collection": query.collection or None,
        "page": query.page,
        "limit": query.limit,
        "total": results.total,
        "total_is_exact": results.total_is_exact,
        "took_ms": round(results.took_ms, 1),
        "semantic": {"state": results.semantic_state, "model": results.semantic_model},
        "hits": [hit_json(hit) for hit in results.hits],
        "facets": [asdict(facet) for facet in results.facets],
        "near_tags": [rounded_scores(asdict(tag)) for tag in results.near_tags],
    }


def hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "collection": hit.collection,
        "title": hit.plain_title,
        "snippet": hit.plain_snippet,
        "tags": list(hit.tags),
        "language": hit.language,
        "url": hit.url,
        "score": hit.score,
        "why": {
            **rounded_scores({"text": hit.why.text, "semantic": hit.why.semantic}),
            "tags": [rounded_scores(asdict(tag)) for tag in hit.why.tags],
            "words": list(hit.why.words),
        },
    }


def rounded_scores(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
