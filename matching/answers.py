"""Matching as the API answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matching.gap import Gap
from matching.learning import Reading
from matching.matrix import Cell, Matrix
from matching.recommend import Fit, Recommendations
from matching.scores import Answer, Answers
from search.semantic import Semantic

NOTHING = "No skill was given and the text names none that the collection knows, so nothing can match."
WAITING = "Some skills are no tag here; they wait for the model and count only where they are named exactly."
NO_SKILLS = "This job names no skill, so there is nothing to compare."


def recommendations_json(found: Recommendations, semantic: Semantic) -> dict[str, Any]:
    return {
        "collection": found.collection,
        "skills": [one.text for one in found.skills],
        "found_in_text": list(found.found),
        "recommendations": [_fit(one) for one in found.fits],
    } | _how(semantic, NOTHING if found.is_empty else None, found.is_whole)


def gap_json(found: Gap, semantic: Semantic) -> dict[str, Any]:
    return {
        "document": {"id": found.job.id, "title": found.job.title},
        "match_percent": found.match_percent,
        "extra": list(found.extra),
    } | _answers(found.answers) | _how(semantic, None if found.asks else NO_SKILLS, found.is_whole)  # fmt: skip


def matrix_json(found: Matrix, semantic: Semantic) -> dict[str, Any]:
    """Return columns, and rows of as many cells: null where the column's job does not ask for the skill."""
    return {
        "columns": [
            {"id": one.document.id, "title": one.document.title, "match_percent": one.match_percent}
            | {"extra": list(one.extra)}
            for one in found.columns
        ],
        "rows": [{"skill": row.skill, "cells": [_cell(cell) for cell in row.cells]} for row in found.rows],
        "rows_left_out": found.rows_left_out,
    } | _how(semantic, None if found.rows else NO_SKILLS, found.is_whole)


def readings_json(found: Mapping[str, Sequence[Reading]]) -> dict[str, list[dict[str, str]]]:
    """Return, by the missing skill, the documents that explain it."""
    return {
        skill: [{"collection": one.collection, "id": one.id, "title": one.title} for one in documents]
        for skill, documents in found.items()
    }


def _how(semantic: Semantic, message: str | None, is_whole: bool) -> dict[str, Any]:
    """Return how it was compared, and what is to be said of it."""
    state = "ready" if semantic.compares_stored else semantic.state
    return {
        "semantic": {"state": state, "model": semantic.lazy.model},
        "message": message or (None if is_whole else WAITING),
    }


def _fit(one: Fit) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "score": round(one.score, 4),
        "match_percent": one.match_percent,
        "semantic": _rounded(one.semantic),
        "text": _rounded(one.text),
    } | _answers(one.answers)


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def _answers(told: Answers) -> dict[str, Any]:
    return {
        "matched": [_answer(one) for one in told.matched],
        "missing": list(told.missing),
        "missing_optional": list(told.missing_optional),
    }


def _answer(one: Answer) -> dict[str, Any]:
    """Return an answer; `below` where the person has less than the job asks, by level or years."""
    return {
        "skill": one.skill,
        "required": one.required,
        "score": round(one.score, 4),
        "kind": one.kind,
        "optional": one.is_optional,
        "below": one.is_below,
        "level_asked": one.level_asked or None,
        "level_had": one.level_had or None,
        "years_asked": one.years_asked or None,
        "years_had": one.years_had or None,
    }


def _cell(cell: Cell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    if cell.answer is None:
        return {"state": cell.state, "required": cell.required, "optional": cell.is_optional}
    return {"state": cell.state} | _answer(cell.answer)
