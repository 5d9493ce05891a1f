"""The skill matching API: the same calls as the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, jsonify

from api.requests import LONGEST_COLLECTION, LONGEST_OWN_ID, body_fields, text_list, text_of
from matching.compare import Gap, Matrix, MatrixCell, gap, jobs_matrix, people_matrix
from matching.documents import job_by_id, job_by_title, jobs_by_ids
from matching.limits import JOBS, MOST_JOBS, PROFILES, check_column_count
from matching.readings import Reading
from matching.recommend import Fit, Recommendations, recommend
from models import db
from search.results import rounded_scores
from search.semantic import Semantic
from web.current import readings_of, semantic, semantic_json, skill_aliases
from web.errors import ApiError
from web.rate_limits import rate_limit

matching_api = Blueprint("api_matching", __name__)

NOTHING = "No skill was given and the text names none that the collection knows, so nothing can match."
WAITING = "Some skills are not tags here; until the model is ready they count only where they are named exactly."
NO_SKILLS = "This job names no skill, so there is nothing to compare."


@matching_api.post("/api/recommend")
@rate_limit("search")
def api_recommend() -> Response:
    """Return the jobs that best fit skills and a text."""
    fields = body_fields()
    names, cv, collection = (
        text_list(fields, "skills"),
        text_of(fields, "text"),
        text_of(fields, "collection", JOBS, LONGEST_COLLECTION),
    )
    limit = fields.get("limit", 10)
    if type(limit) not in (int, float) or limit % 1 or not 1 <= limit <= MOST_JOBS:  # 10.0 is whole as well
        raise ApiError(422, "bad_parameter", f"limit must be a whole number from 1 to {MOST_JOBS}")
    recommendations = recommend(db.session(), semantic(), collection, names, cv, int(limit), skill_aliases())
    if not recommendations.documents:
        raise ApiError(404, "not_found", f"There is no collection {collection[:64]!r} with documents.")
    return jsonify(recommendations_json(recommendations, semantic()))


@matching_api.post("/api/skill-gap")
@rate_limit("search")
def api_skill_gap() -> Response:
    """Return which of a job's skills a person has."""
    fields = body_fields()
    names, collection = text_list(fields, "skills"), text_of(fields, "collection", JOBS, LONGEST_COLLECTION)
    own_id, title = text_of(fields, "document_id", most=LONGEST_OWN_ID), text_of(fields, "title")
    if bool(own_id.strip()) == bool(title.strip()):
        raise ApiError(422, "bad_parameter", "name the job by either document_id or title")
    job = job_by_id(db.session(), collection, own_id) if own_id else job_by_title(db.session(), collection, title)
    skill_gap = gap(db.session(), semantic(), collection, job, names, skill_aliases())
    readings = readings_of(skill_gap.answers, collection)
    return jsonify(gap_json(skill_gap, semantic()) | {"readings": readings_json(readings)})


@matching_api.post("/api/compare")
@rate_limit("search")
def api_compare() -> Response:
    """Compare one person with several jobs, or several people with one job, skill by skill."""
    fields = body_fields()
    jobs = text_of(fields, "jobs", JOBS, LONGEST_COLLECTION)
    profiles = text_of(fields, "profiles", PROFILES, LONGEST_COLLECTION)
    names, against = text_list(fields, "skills"), text_of(fields, "job_id", most=LONGEST_OWN_ID)
    job_ids, profile_ids = text_list(fields, "job_ids"), text_list(fields, "profile_ids")
    own_ids = profile_ids if against else job_ids
    check_column_count(len(own_ids))  # before they are looked up
    documents = jobs_by_ids(db.session(), profiles if against else jobs, own_ids)
    if against:
        job = job_by_id(db.session(), jobs, against)
        matrix = people_matrix(db.session(), semantic(), jobs, job, documents, skill_aliases())
    else:
        matrix = jobs_matrix(db.session(), semantic(), jobs, documents, names, skill_aliases())
    return jsonify(matrix_json(matrix, semantic()))


def recommendations_json(recommendations: Recommendations, side: Semantic) -> dict[str, Any]:
    return {
        "collection": recommendations.collection,
        "skills": [skill.text for skill in recommendations.skills],
        "found_in_text": list(recommendations.found),
        "recommendations": [fit_json(fit) for fit in recommendations.fits],
    } | state_json(side, NOTHING if recommendations.is_empty else None, recommendations.is_whole)


def fit_json(fit: Fit) -> dict[str, Any]:
    scores = rounded_scores({"score": fit.score, "semantic": fit.semantic, "text": fit.text})
    percents = {"match_percent": fit.match_percent, "used_percent": fit.used_percent}
    return {"id": fit.id, "title": fit.title} | percents | scores | fit.answers.as_json()


def gap_json(skill_gap: Gap, side: Semantic) -> dict[str, Any]:
    values = {
        "document": {"id": skill_gap.job.id, "title": skill_gap.job.title},
        "match_percent": skill_gap.match_percent,
        "extra": list(skill_gap.extra),
    }
    state = state_json(side, None if skill_gap.asks else NO_SKILLS, skill_gap.is_whole)
    return values | skill_gap.answers.as_json() | state


def readings_json(readings: Mapping[str, Sequence[Reading]]) -> dict[str, list[dict[str, str]]]:
    """Return, by missing skill, the documents that explain it."""
    return {
        skill: [{name: getattr(reading, name) for name in ("collection", "id", "title")} for reading in documents]
        for skill, documents in readings.items()
    }


def matrix_json(matrix: Matrix, side: Semantic) -> dict[str, Any]:
    """Return the columns, and rows with a cell for each: null if the column's job does not require the skill."""
    columns = [
        {"id": column.document.id, "title": column.document.title, "match_percent": column.match_percent}
        | {"extra": list(column.extra)}
        for column in matrix.columns
    ]
    rows = [{"skill": row.skill, "cells": [cell_json(cell) for cell in row.cells]} for row in matrix.rows]
    state = state_json(side, None if matrix.rows else NO_SKILLS, matrix.is_whole)
    return {"columns": columns, "rows": rows, "rows_left_out": matrix.rows_left_out} | state


def cell_json(cell: MatrixCell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    if cell.answer is None:
        return {"state": cell.state, "required": cell.required, "optional": cell.is_optional}
    return {"state": cell.state} | cell.answer.as_json()


def state_json(side: Semantic, message: str | None, is_whole: bool) -> dict[str, Any]:
    """Return the state of the model, and a message about the result if there is one."""
    return {"semantic": semantic_json(side), "message": message or (None if is_whole else WAITING)}
