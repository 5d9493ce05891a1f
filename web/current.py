"""The parts of the Runtime that the current request uses."""

from __future__ import annotations

from flask import current_app

from config import Settings
from matching.aliases import Aliases
from matching.limits import PROFILES
from matching.readings import Reading, readings
from matching.scores import Answers
from models import db
from operations.figures import Watch
from runtime import Runtime, runtime_of
from search.query import Query
from search.results import ResultsPage
from search.search import search
from search.semantic import Semantic


def runtime() -> Runtime:
    return runtime_of(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - the documented way


def settings() -> Settings:
    return runtime().settings


def semantic() -> Semantic:
    return runtime().semantic


def watch() -> Watch:
    return runtime().watch


def skill_aliases() -> Aliases:
    return runtime().skill_aliases()


def search_results(query: Query) -> ResultsPage:
    """Return a page of results, and record how long it took for the status page."""
    results = search(db.session(), query, semantic(), shared=runtime().shared_results)
    watch().searches.note(query.mode, query.text, results.total, results.took_ms)
    if results.is_indexing:
        runtime().imports.wake()
    return results


def readings_of(answers: Answers, collection: str) -> dict[str, tuple[Reading, ...]]:
    """Return, by missing skill, the documents that explain it."""
    missing = [*answers.missing, *answers.missing_optional]
    return readings(db.session(), missing, {collection, PROFILES}, skill_aliases())


def semantic_json(side: Semantic) -> dict[str, str]:
    """Return the state of semantic search, for a response that compares stored embeddings."""
    return {"state": "ready" if side.compares_stored else side.state, "model": side.lazy.model}
