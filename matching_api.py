"""The API that matches skills, as the pages do."""

from __future__ import annotations

from flask import Response, jsonify

from api import ApiError, api, body_fields, text_list, text_of
from matching.answers import gap_json, matrix_json, readings_json, recommendations_json
from matching.bounds import MOST_JOBS, TooMuch, check_columns
from matching.gap import NoSuchJob, SeveralJobs, gap, job_by_id, job_by_title, jobs_by_ids
from matching.learning import readings
from matching.matrix import jobs_matrix, people_matrix
from matching.recommend import recommend
from matching_pages import JOBS, PROFILES
from models import db
from routes import semantic, skill_aliases


@api.post("/api/recommend")
def api_recommend() -> Response:
    """Return the jobs that fit skills and a text best."""
    fields = body_fields()
    names, said, collection = (
        text_list(fields, "skills"),
        text_of(fields, "text"),
        text_of(fields, "collection", "jobs"),
    )
    limit = fields.get("limit", 10)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_JOBS:
        raise ApiError(422, "bad_parameter", f"limit must be a whole number from 1 to {MOST_JOBS}")
    try:
        found = recommend(db.session(), semantic(), collection, names, said, limit, skill_aliases())
    except TooMuch as error:
        raise too_much(error) from None
    if not found.documents:
        raise ApiError(404, "not_found", f"There is no collection {collection[:64]!r} with documents.")
    return jsonify(recommendations_json(found, semantic()))


@api.post("/api/skill-gap")
def api_skill_gap() -> Response:
    """Return what of one job's skills a person has."""
    fields = body_fields()
    names, collection = text_list(fields, "skills"), text_of(fields, "collection", "jobs")
    own_id, title = text_of(fields, "document_id"), text_of(fields, "title")
    if bool(own_id.strip()) == bool(title.strip()):
        raise ApiError(422, "bad_parameter", "name the job by document_id or by title, one of them")
    try:
        job = job_by_id(db.session(), collection, own_id) if own_id else job_by_title(db.session(), collection, title)
        found = gap(db.session(), semantic(), collection, job, names, skill_aliases())
    except NoSuchJob as error:
        raise ApiError(404, "not_found", str(error)) from None
    except SeveralJobs as error:
        choices = [{"id": one, "title": name} for one, name in error.choices]
        raise ApiError(409, "ambiguous", str(error), {"choices": choices}) from None
    except TooMuch as error:
        raise too_much(error) from None
    told = found.answers
    read = readings(db.session(), [*told.missing, *told.missing_optional], {collection, PROFILES}, skill_aliases())
    return jsonify(gap_json(found, semantic()) | {"readings": readings_json(read)})


@api.post("/api/compare")
def api_compare() -> Response:
    """Return one person against some jobs, or some people against one job, skill by skill."""
    fields = body_fields()
    jobs, profiles = text_of(fields, "jobs", JOBS), text_of(fields, "profiles", PROFILES)
    names, against = text_list(fields, "skills"), text_of(fields, "job_id")
    chosen = text_list(fields, "profile_ids" if against else "job_ids")
    try:
        check_columns(len(chosen))  # before they are looked up
        found = jobs_by_ids(db.session(), profiles if against else jobs, chosen)
        if against:
            job = job_by_id(db.session(), jobs, against)
            matrix = people_matrix(db.session(), semantic(), jobs, job, found, skill_aliases())
        else:
            matrix = jobs_matrix(db.session(), semantic(), jobs, found, names, skill_aliases())
    except NoSuchJob as error:
        raise ApiError(404, "not_found", str(error)) from None
    except TooMuch as error:
        raise too_much(error) from None
    return jsonify(matrix_json(matrix, semantic()))


def too_much(error: TooMuch) -> ApiError:
    return ApiError(413 if error.code == "text" else 422, "too_much", str(error))
