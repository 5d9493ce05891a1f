"""The API of screenings: the same calls as the pages."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for

from api.requests import body_fields, check_number, choice_arg, need_admin, text_of, too_much_error
from indexes.version import caught_up
from jobs.claims import is_cut_off
from matching.documents import NoSuchJob
from matching.limits import TooMuch
from models import Screening, db
from screening.export import result_json, screening_json
from screening.listing import LAST_PAGE, MOST_LIMIT, PAGE_LIMIT, Listing
from screening.results import ScreeningMatches, status_counts, written_since
from screening.store import (
    STATUSES,
    NoteTooLong,
    cancel,
    create_screening,
    decide,
    delete_screening,
    run_again,
    saved_screenings,
    screening_by_id,
)
from screening.vocabulary import Unscreenable, screened_job, screened_text
from search.query import LAST_VERSION, clean_text
from web.access import is_bearer
from web.current import skill_aliases
from web.errors import ApiError
from web.rate_limits import rate_limit
from web.screenings import NUMBER, columns_of, exported, may_delete, wake
from web.sessions import browser, browser_or_new

screening_api = Blueprint("api_screenings", __name__)

REFUSED = {"no_collection": 404, "no_room": 409}  # the others are of what was sent


@screening_api.get("/api/screenings")
def api_screenings() -> Response:
    """Return the screenings of the browser whose cookie this is; all of them for the admin's token."""
    everything = is_bearer()
    own = saved_screenings(db.session(), None if everything else browser()) if everything or browser() else []
    return jsonify({"screenings": [screening_json(one) | {"address": api_address(one)} for one in own]})


@screening_api.post("/api/screenings")
@rate_limit("search")
def api_screening_begin() -> tuple[Response, int, dict[str, str]]:
    fields, session, names = body_fields(), db.session(), skill_aliases()
    job, job_text = text_of(fields, "job_id").strip(), text_of(fields, "text")
    jobs, profiles = (clean_text(text_of(fields, name, name))[:64] for name in ("jobs", "profiles"))
    if bool(job) == bool(job_text.strip()):
        raise ApiError(422, "bad_parameter", "name the job by job_id, or send it as text, one of them")
    try:
        wanted = screened_job(session, jobs, job) if job else screened_text(session, jobs, profiles, job_text, names)
        screening = create_screening(session, browser_or_new(), wanted, profiles)
    except NoSuchJob as error:
        raise ApiError(404, "not_found", str(error)) from None
    except TooMuch as error:
        raise too_much_error(error) from None
    except Unscreenable as error:
        raise ApiError(REFUSED.get(error.code, 422), error.code, str(error)) from None
    wake()
    return jsonify({"id": screening.id, "address": api_address(screening)}), 202, {"Location": api_address(screening)}


def api_address(one: Screening) -> str:
    return url_for("api_screenings.api_screening", number=one.id)


def kept(number: int) -> Screening:
    """Return a screening; raises 404. One that waits or was cut off is run."""
    caught_up(db.session())
    screening = screening_by_id(db.session(), number)
    if screening is None:
        raise ApiError(404, "not_found", "There is no such screening.")
    if screening.state == "waiting" or is_cut_off(screening):
        wake()
    return screening


@screening_api.get(f"/api/screenings/{NUMBER}")
@rate_limit("search")
def api_screening(number: int) -> Response:
    """Return how far a screening is, and a page of its results."""
    screening, session = kept(number), db.session()
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
    screening = kept(number)
    if not may_delete(screening):
        need_admin()
    delete_screening(db.session(), screening.id)
    return "", 204


@screening_api.post(f"/api/screenings/{NUMBER}/run")
@rate_limit("search")
def api_screening_run(number: int) -> tuple[Response, int]:
    screening = kept(number)
    if not run_again(db.session(), screening.id):
        raise ApiError(409, "runs", "The screening runs already: wait for its end, or cancel it.")
    wake()
    return jsonify({"id": screening.id, "address": api_address(screening)}), 202


@screening_api.post(f"/api/screenings/{NUMBER}/cancel")
def api_screening_cancel(number: int) -> Response:
    screening = kept(number)
    if not cancel(db.session(), screening.id):
        raise ApiError(409, "ended", "The screening does not run: there is nothing to cancel.")
    return jsonify(screening_json(screening))


@screening_api.put(f"/api/screenings/{NUMBER}/profiles/<path:own_id>")
@rate_limit("search")
def api_screening_decide(number: int, own_id: str) -> Response:
    one, fields = kept(number), body_fields()
    status, note = text_of(fields, "status", "new"), clean_text(text_of(fields, "note"))
    if status not in STATUSES:
        raise ApiError(422, "bad_parameter", f"status={status[:50]!r}: it must be one of {', '.join(STATUSES)}")
    try:
        if not decide(db.session(), one, own_id, status, note):
            raise ApiError(404, "not_found", f"There is no profile {own_id[:100]!r} in this screening.")
    except NoteTooLong as error:
        raise ApiError(413, "too_much", str(error)) from None
    return jsonify({"id": own_id, "status": status, "note": note})


@screening_api.get(f"/api/screenings/{NUMBER}/export")
@rate_limit("search")
def api_screening_export(number: int) -> Response:
    """Return all that the filters find, written while it is read."""
    screening = kept(number)
    form = choice_arg("format", ("json", "csv"), "json")
    return exported(screening, Listing.from_args(request.args, columns_of(screening)), form, skill_aliases())
