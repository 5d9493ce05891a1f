"""What searches found and what queries mean, kept for other processes: under keys that no other data or model has."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from hashlib import blake2b
from typing import Any

import numpy as np

from indexes.version import Snapshot
from search.query import Query
from search.results import Facet, Found, Ranked, TagScore
from search.semantic import Semantic
from utils.hebrew import ANALYSIS_VERSION
from utils.int8 import Floats
from utils.shared import Shared

FORM = (
    1  # raised where what is kept, or how it is ranked, changes: the versions of a site then do not read each other's
)
UNIT = (0.99, 1.01)  # the length of a sound embedding


class SharedVectors:
    """Embeddings of what was asked, by model and words, as little-endian float32: of queries, and of names of skills.

    A skill that is no stored tag is encoded for each list that has it; those that are stored need no model.
    """

    def __init__(self, shared: Shared, queries_s: int, skills_s: int) -> None:
        self._shared, self._ttl_s = shared, {"embeddings": queries_s, "skills": skills_s}

    def recall(self, model: int, kind: str, words: str, dim: int) -> Floats | None:
        """Return the embedding, float32 of shape (dim,) and length 1; None for anything else."""
        value = self._shared.recall(called(kind), hashed([FORM, model, words]))
        if value is None:
            return None
        if len(value) == 4 * dim:
            vector: Floats = np.frombuffer(value, "<f4").astype(np.float32)
            if UNIT[0] < float(vector @ vector) < UNIT[1]:
                return vector
        self._shared.wrong(called(kind))
        return None

    def keep(self, model: int, kind: str, words: str, vector: Floats) -> None:
        value, name = vector.astype("<f4").tobytes(), called(kind)
        self._shared.keep(name, hashed([FORM, model, words]), value, self._ttl_s[name])


def called(kind: str) -> str:
    return "skills" if kind == "tag" else "embeddings"


class SharedResults:
    """Pages of rankings, as JSON. The documents are not kept: they are read anew for each answer."""

    def __init__(self, shared: Shared, ttl_s: int) -> None:
        self._shared, self._ttl_s = shared, ttl_s

    def key(self, snapshot: Snapshot, query: Query, semantic: Semantic) -> str | None:
        """Return the key of what a query finds now; None where it is not to be kept.

        It holds all that the database tells of its data: the version, which grows with each committed change, and the
        totals, which tell a database from one that was put back or made anew under the same address.
        """
        model = "" if not needs_meaning(query) or semantic.is_off else semantic.model_key
        if model is None or (model != "" and semantic.lazy.state == "unavailable"):
            return None
        return hashed([FORM, ANALYSIS_VERSION, astuple(snapshot), model, semantic.is_off, asdict(query)])

    def recall(self, key: str, query: Query, semantic: Semantic) -> Found | None:
        value = self._shared.recall("results", key)
        if value is None:
            return None
        state = "ready" if needs_meaning(query) and not semantic.is_off else semantic.state
        try:
            return read(json.loads(value), state)
        except (ValueError, TypeError, KeyError, RecursionError):
            self._shared.wrong("results")
            return None

    def keep(self, key: str, found: Found, query: Query, semantic: Semantic) -> None:
        """Keep what was found, unless it was found without the meaning that the key promises."""
        is_whole = found.semantic_state == semantic.state == "ready"
        if is_whole or semantic.is_off or not needs_meaning(query):
            self._shared.keep("results", key, json.dumps(written(found)).encode(), self._ttl_s)


def needs_meaning(query: Query) -> bool:
    """Tell whether the model has a say in what a query finds."""
    return query.mode == "tags" or (query.mode in ("semantic", "hybrid") and bool(query.parts().wanted()))


def hashed(values: list[Any]) -> str:
    return blake2b(json.dumps(values, ensure_ascii=False).encode(), digest_size=16).hexdigest()


def written(found: Found) -> dict[str, Any]:
    return {
        "page": [astuple(one) for one in found.page],
        "total": found.total,
        "exact": found.total_is_exact,
        "facets": [astuple(one) for one in found.facets],
        "near": [astuple(one) for one in found.near_tags],
    }


def read(values: dict[str, Any], state: str) -> Found:
    """Return what was written; raises ValueError, TypeError or KeyError for anything else."""
    return Found(
        page=tuple(ranked(*one) for one in values["page"]),
        total=int(values["total"]),
        total_is_exact=bool(values["exact"]),
        facets=tuple(Facet(str(tag), int(count)) for tag, count in values["facets"]),
        near_tags=tag_scores(values["near"]),
        semantic_state=state,
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
        tag_scores(tags),
    )


def tag_scores(pairs: Any) -> tuple[TagScore, ...]:
    return tuple(TagScore(str(tag), float(score)) for tag, score in pairs)
