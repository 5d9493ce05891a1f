"""Matching as the API answers it."""

from __future__ import annotations

from typing import Any

from matching.gap import Gap
from matching.recommend import Fit, Recommendations
from matching.scores import Answer
from search.semantic import Semantic

NOTHING = "No skill was given and the text names none that the collection knows, so nothing can match."
WAITING = "Some skills are no tag here; they wait for the model and count only where they are named exactly."
NO_SKILLS = "This job names no skill, so there is nothing to compare."


def recommendations_json(found: Recommendations, semantic: Semantic) -> dict[str, Any]:
    message = NOTHING if found.is_empty else None if found.is_whole else WAITING
    return {
        "collection": found.collection,
        "skills": [one.text for one in found.skills],
        "found_in_text": list(found.found),
        "semantic": _state(semantic),
        "message": message,
        "recommendations": [_fit(one) for one in found.fits],
    }


def gap_json(found: Gap, semantic: Semantic) -> dict[str, Any]:
    return {
        "document": {"id": found.job.id, "title": found.job.title},
        "match_percent": found.match_percent,
        "matched": [_answer(one) for one in found.answers.matched],
        "missing": list(found.answers.missing),
        "missing_optional": list(found.answers.missing_optional),
        "extra": list(found.extra),
        "semantic": _state(semantic),
        "message": NO_SKILLS if not found.asks else None if found.is_whole else WAITING,
    }


def _state(semantic: Semantic) -> dict[str, str]:
    return {"state": "ready" if semantic.compares_stored else semantic.state, "model": semantic.lazy.model}


def _fit(one: Fit) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "score": round(one.score, 4),
        "match_percent": one.match_percent,
        "semantic": None if one.semantic is None else round(one.semantic, 4),
        "matched": [_answer(answer) for answer in one.answers.matched],
        "missing": list(one.answers.missing),
        "missing_optional": list(one.answers.missing_optional),
    }


def _answer(one: Answer) -> dict[str, Any]:
    return {
        "skill": one.skill,
        "required": one.required,
        "score": round(one.score, 4),
        "kind": one.kind,
        "optional": one.is_optional,
    }
