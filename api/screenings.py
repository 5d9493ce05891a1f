"""The screenings API: the same calls as the pages."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, jsonify, request, url_for

from api.requests import LONGEST_COLLECTION, LONGEST_OWN_ID, body_fields, check_number, choice_arg, text_of
from matching.limits import JOBS, PROFILES
from models import Screening, db
from operations.audit import about_profile
from screening.export import result_json, screening_json
from screening.listing import LAST_PAGE, MOST_LIMIT, PAGE_LIMIT, Listing
from screening.results import ScreeningMatches, status_counts, written_since
from screening.store import STATUSES, cancel, create_screening, decide, delete_screening, run_again
from screening.vocabulary import screened_job, screened_text
from search.query import LAST_VERSION, clean_text
from web.access import is_admin
from web.addresses import requested_id
from web.audit import record_request
from web.current import skill_aliases
from web.errors import ApiError
from web.owners import client_number, owner_or_new
from web.rate_limits import rate_limit
from web.screenings import NUMBER, author_of, columns_of, exported, screening_or_404, visible_screenings, wake

screening_api = Blueprint("api_screenings", __name__)


@screening_api.get("/api/screenings")
def api_screenings() -> Response:
    """Return the screenings of the key or the browser whose cookie is sent; all of them for an admin."""
    rows = visible_screenings(is_admin())
    return jsonify({"screenings": [screening_json(row) | {"address": api_address(row)} for row in rows]})


@screening_api.post("/api/screenings")
@rate_limit("search")
def api_screening_begin() -> tuple[Response, int, dict[str, str]]:
    fields, session, aliases = body_fields(), db.session(), skill_aliases()
    job_id, job_text = text_of(fields, "job_id", most=LONGEST_OWN_ID).strip(), text_of(fields, "text")
    jobs, profiles = (clean_text(text_of(fields, name, name, LONGEST_COLLECTION)) for name in (JOBS, PROFILES))
    if bool(job_id) == bool(job_text.strip()):
        raise ApiError(422, "bad_parameter", "name the job by job_id or send it as text, not both")
    job = screened_job(session, jobs, job_id) if job_id else screened_text(session, jobs, profiles, job_text, aliases)
    screening = create_screening(session, owner_or_new(), job, profiles, client_number())
    record_request("screening begun", f"screening {screening.id}")
    wake()
    address = api_address(screening)
    return jsonify({"id": screening.id, "address": address}), 202, {"Location": address}


def api_address(screening: Screening) -> str:
    return url_for("api_screenings.api_screening", number=screening.id)


@screening_api.get(f"/api/screenings/{NUMBER}")
@rate_limit("search")
def api_screening(number: int) -> Response:
    """Return the progress of a screening, and a page of its results."""
    screening, session = screening_or_404(number), db.session()
    check_number("page", LAST_PAGE)
    check_number("limit", MOST_LIMIT, PAGE_LIMIT)
    check_number("since", LAST_VERSION, 0, 0)
    listing = Listing.from_args(request.args, columns_of(screening))
    page = ScreeningMatches(session, screening, listing, skill_aliases()).page()
    values: dict[str, Any] = {
        "columns": [column.as_json() for column in columns_of(screening)],
        "statuses": status_counts(session, screening),
        "written_since": written_since(session, screening),
        "page": listing.page,
        "limit": listing.limit,
        "matching": page.total,
        "results": [result_json(result) for result in page.results],
    }
    return jsonify(screening_json(screening) | values)


@screening_api.delete(f"/api/screenings/{NUMBER}")
def api_screening_delete(number: int) -> tuple[str, int]:
    screening = screening_or_404(number, "own")
    delete_screening(db.session(), screening.id)
    record_request("screening deleted", f"screening {number}")
    return "", 204


@screening_api.post(f"/api/screenings/{NUMBER}/run")
@rate_limit("search")
def api_screening_run(number: int) -> tuple[Response, int]:
    screening = screening_or_404(number, "own")
    if not run_again(db.session(), screening.id):
        raise ApiError(409, "runs", "The screening is already running: wait until it ends, or cancel it.")
    record_request("screening run", f"screening {number}")
    wake()
    return jsonify({"id": screening.id, "address": api_address(screening)}), 202


@screening_api.post(f"/api/screenings/{NUMBER}/cancel")
def api_screening_cancel(number: int) -> Response:
    screening = screening_or_404(number, "own")
    if not cancel(db.session(), screening.id):
        raise ApiError(409, "ended", "The screening is not running: there is nothing to cancel.")
    return jsonify(screening_json(screening))


@screening_api.put(f"/api/screenings/{NUMBER}/profiles/<own_id:own_id>")
@screening_api.put(f"/api/screenings/{NUMBER}/profiles")
@rate_limit("search")
def api_screening_decide(number: int, own_id: str = "") -> Response:
    screening, fields, own_id = screening_or_404(number, "decide"), body_fields(), requested_id(own_id)
    status, note = text_of(fields, "status", "new"), clean_text(text_of(fields, "note"))
    if status not in STATUSES:
        raise ApiError(422, "bad_parameter", f"status={status[:50]!r}: it must be one of {', '.join(STATUSES)}")
    if not decide(db.session(), screening, own_id, status, note, author_of(screening)):
        abort(404, f"There is no profile {own_id[:100]!r} in this screening.")
    record_request("screening decided", about_profile(number, own_id), author_of(screening))
    return jsonify({"id": own_id, "status": status, "note": note})


@screening_api.get(f"/api/screenings/{NUMBER}/export")
@rate_limit("search")
def api_screening_export(number: int) -> Response:
    """Return everything that the filters select, written while it is read."""
    screening = screening_or_404(number)
    form = choice_arg("format", ("json", "csv"), "json")
    return exported(screening, Listing.from_args(request.args, columns_of(screening)), form)
