"""The API that matches skills, as the pages do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, jsonify

from api.requests import body_fields, text_list, text_of, too_much_error
from matching.compare import Gap, Matrix, MatrixCell, gap, jobs_matrix, people_matrix
from matching.documents import NoSuchJob, SeveralJobs, job_by_id, job_by_title, jobs_by_ids
from matching.limits import JOBS, MOST_JOBS, PROFILES, TooMuch, check_column_count
from matching.readings import Reading, readings
from matching.recommend import Fit, Recommendations, recommend
from matching.scores import Answer, Answers
from models import db
from search.semantic import Semantic
from web.current import semantic, skill_aliases
from web.errors import ApiError
from web.rate_limits import rate_limit

matching_api = Blueprint("api_matching", __name__)


@matching_api.post("/api/recommend")
@rate_limit("search")
def api_recommend() -> Response:
    """Return the jobs that fit skills and a text best."""
    fields = body_fields()
    names, cv, collection = (
        text_list(fields, "skills"),
        text_of(fields, "text"),
        text_of(fields, "collection", "jobs"),
    )
    limit = fields.get("limit", 10)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_JOBS:
        raise ApiError(422, "bad_parameter", f"limit must be a whole number from 1 to {MOST_JOBS}")
    try:
        recommendations = recommend(db.session(), semantic(), collection, names, cv, limit, skill_aliases())
    except TooMuch as error:
        raise too_much_error(error) from None
    if not recommendations.documents:
        raise ApiError(404, "not_found", f"There is no collection {collection[:64]!r} with documents.")
    return jsonify(recommendations_json(recommendations, semantic()))


@matching_api.post("/api/skill-gap")
@rate_limit("search")
def api_skill_gap() -> Response:
    """Return what of one job's skills a person has."""
    fields = body_fields()
    names, collection = text_list(fields, "skills"), text_of(fields, "collection", "jobs")
    own_id, title = text_of(fields, "document_id"), text_of(fields, "title")
    if bool(own_id.strip()) == bool(title.strip()):
        raise ApiError(422, "bad_parameter", "name the job by document_id or by title, one of them")
    try:
        job = job_by_id(db.session(), collection, own_id) if own_id else job_by_title(db.session(), collection, title)
        skill_gap = gap(db.session(), semantic(), collection, job, names, skill_aliases())
    except NoSuchJob as error:
        raise ApiError(404, "not_found", str(error)) from None
    except SeveralJobs as error:
        choices = [{"id": one, "title": name} for one, name in error.choices]
        raise ApiError(409, "ambiguous", str(error), {"choices": choices}) from None
    except TooMuch as error:
        raise too_much_error(error) from None
    answers = skill_gap.answers
    read = readings(
        db.session(), [*answers.missing, *answers.missing_optional], {collection, PROFILES}, skill_aliases()
    )
    return jsonify(gap_json(skill_gap, semantic()) | {"readings": readings_json(read)})


@matching_api.post("/api/compare")
@rate_limit("search")
def api_compare() -> Response:
    """Return one person against some jobs, or some people against one job, skill by skill."""
    fields = body_fields()
    jobs, profiles = text_of(fields, "jobs", JOBS), text_of(fields, "profiles", PROFILES)
    names, against = text_list(fields, "skills"), text_of(fields, "job_id")
    chosen = text_list(fields, "profile_ids" if against else "job_ids")
    try:
        check_column_count(len(chosen))  # before they are looked up
        documents = jobs_by_ids(db.session(), profiles if against else jobs, chosen)
        if against:
            job = job_by_id(db.session(), jobs, against)
            matrix = people_matrix(db.session(), semantic(), jobs, job, documents, skill_aliases())
        else:
            matrix = jobs_matrix(db.session(), semantic(), jobs, documents, names, skill_aliases())
    except NoSuchJob as error:
        raise ApiError(404, "not_found", str(error)) from None
    except TooMuch as error:
        raise too_much_error(error) from None
    return jsonify(matrix_json(matrix, semantic()))


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


def _cell(cell: MatrixCell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    if cell.answer is None:
        return {"state": cell.state, "required": cell.required, "optional": cell.is_optional}
    return {"state": cell.state} | _answer(cell.answer)
