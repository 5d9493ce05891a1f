"""The pages of screenings: begun, followed, narrowed, decided upon, exported; whoever has an address may."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response as AnyResponse

from indexes.version import caught_up
from jobs.claims import is_cut_off
from matching.documents import NoSuchJob, SeveralJobs, job_by_id, job_by_title
from matching.limits import JOBS, MOST_TEXT, TooMuch
from models import Screening, db
from pages.matching import too_much
from screening.columns import OFFERED_COLUMNS
from screening.listing import Listing
from screening.results import ScreeningMatches, status_counts, written_since
from screening.store import (
    KEPT_SCREENINGS,
    LONGEST_NOTE,
    MOST_PROFILES,
    OPEN,
    STATUSES,
    NoteTooLong,
    cancel,
    create_screening,
    decide,
    delete_screening,
    required_skills_of,
    run_again,
    saved_screenings,
    screening_by_id,
)
from screening.vocabulary import ScreenedJob, Unscreenable, screened_job, screened_text
from search.documents import collections
from search.query import Query, clean_text
from web.access import is_admin
from web.current import skill_aliases
from web.rate_limits import rate_limit
from web.screenings import NUMBER, columns_of, exported, may_delete, screening_address, wake
from web.sessions import browser, browser_or_new

screening_pages = Blueprint("screenings", __name__)

PROFILES = "profiles"  # the collection that is ranked where none is chosen


@screening_pages.get("/screenings")
def screenings() -> str:
    return screenings_page(request.args)


def screenings_page(form: Mapping[str, str], error: str = "", choices: tuple[tuple[str, str], ...] = ()) -> str:
    own = saved_screenings(db.session(), None if is_admin() else browser()) if is_admin() or browser() else []
    names = collections(db.session())
    return render_template(
        "screenings.html", query=Query(), screenings=own, collections=names, error=error, choices=choices,
        jobs=asked_collection(form, "jobs", JOBS), profiles=asked_collection(form, "profiles", PROFILES),
        job=form.get("job", "")[:500], said=form.get("text", "")[:MOST_TEXT], most_text=MOST_TEXT,
        kept=KEPT_SCREENINGS, most_profiles=MOST_PROFILES, admin=is_admin(),
    )  # fmt: skip


def asked_collection(form: Mapping[str, str], name: str, default: str) -> str:
    return clean_text(form.get(name, ""))[:64] or default


@screening_pages.post("/screenings")
@rate_limit("search")
def screenings_begin() -> AnyResponse | tuple[str, int]:
    form = request.form
    try:
        wanted = wanted_of(form)
        screening = create_screening(
            db.session(), browser_or_new(), wanted, asked_collection(form, "profiles", PROFILES)
        )
    except SeveralJobs as several:
        return screenings_page(form, gettext("Several jobs have this title: choose one."), several.choices), 409
    except NoSuchJob:
        return screenings_page(form, gettext("There is no such job in this collection.")), 404
    except TooMuch as much:
        return screenings_page(form, too_much(much)), 413
    except Unscreenable as error:
        return screenings_page(form, unscreenable(error)), 422
    wake()
    return redirect(url_for("screenings.screening", number=screening.id), 303)


def wanted_of(form: Mapping[str, str]) -> ScreenedJob:
    """Return what a form asks for: a job by its id or title, or a pasted text; raises what cannot be."""
    jobs, profiles = asked_collection(form, "jobs", JOBS), asked_collection(form, "profiles", PROFILES)
    job, said, session = form.get("job", "").strip(), form.get("text", ""), db.session()
    if not job and said.strip():
        return screened_text(session, jobs, profiles, said[: MOST_TEXT + 1], skill_aliases())
    try:
        stored_job = job_by_id(session, jobs, job)
    except NoSuchJob:
        stored_job = job_by_title(session, jobs, job)
    return screened_job(session, jobs, stored_job.id)


def unscreenable(error: Unscreenable) -> str:
    """Return why a screening cannot begin, in the user's language."""
    said: dict[str, str] = {
        "no_skills": gettext("No skill was found here, so there is nothing to rank by: name the job's skills."),
        "no_collection": gettext("There is no such collection of profiles."),
        "no_profiles": gettext("This collection is empty: import profiles first."),
        "too_many": gettext(
            "The collection has more than %(most)s profiles: import the ones you need into a collection of their own.",
            most=f"{MOST_PROFILES:,}",
        ),
        "no_room": gettext(
            "There are already %(most)s screenings with decisions, which is the limit: delete one you no longer need.",
            most=KEPT_SCREENINGS,
        ),
    }
    return said[error.code]


def known(number: int) -> Screening:
    """Return a screening, and see to it that one that waits or was cut off is run; raises 404."""
    caught_up(db.session())  # documents written by an older release count as new only from here on
    screening_row = screening_by_id(db.session(), number)
    if screening_row is None:
        abort(404)
    if screening_row.state == "waiting" or is_cut_off(screening_row):
        wake()
    return screening_row


@screening_pages.get(f"/screenings/{NUMBER}")
@rate_limit("search")
def screening(number: int) -> AnyResponse | str:
    row = known(number)
    listing = Listing.from_args(request.args, columns_of(row))
    if "" in request.args.values():  # a form's empty fields: the address to keep and to send is without them
        return redirect(screening_address(row, listing), 303)
    return screening_page(row, listing)


def screening_page(one: Screening, listing: Listing, error: str = "", typed: tuple[str, str] = ("", "")) -> str:
    session = db.session()
    results = ScreeningMatches(session, one, listing, skill_aliases()).page()
    return render_template(
        "screening.html", query=Query(), screening=one, results=results, listing=listing, error=error, typed=typed,
        columns=[column for column in columns_of(one) if column.is_offered][:OFFERED_COLUMNS],
        counts=status_counts(session, one), since=written_since(session, one), asked=required_skills_of(one),
        statuses=STATUSES, runs=one.state in OPEN, longest_note=LONGEST_NOTE, may_delete=may_delete(one),
        here=lambda **changes: screening_address(one, listing, **changes),
    )  # fmt: skip


@screening_pages.post(f"/screenings/{NUMBER}/profiles")
@rate_limit("search")
def screening_decide(number: int) -> AnyResponse | tuple[str, int]:
    """Keep what was decided of a profile, and lead back to the list as it was."""
    row, form = known(number), request.form
    listing = Listing.from_args(request.args, columns_of(row))
    status, note = form.get("status", ""), clean_text(form.get("note", "").replace("\r\n", "\n"))
    if status not in STATUSES:
        abort(422)
    try:
        if not decide(db.session(), row, form.get("profile", ""), status, note):
            abort(404)
    except NoteTooLong:
        message = ngettext(
            "The note is longer than %(num)s character: shorten it.",
            "The note is longer than %(num)s characters: shorten it.",
            LONGEST_NOTE,
        )
        return screening_page(row, listing, message, (form.get("profile", ""), note)), 413
    return redirect(f"{screening_address(row, listing)}#p{form.get('place', '')[:20]}", 303)


@screening_pages.post(f"/screenings/{NUMBER}/run")
@rate_limit("search")
def screening_run(number: int) -> AnyResponse:
    row = known(number)
    run_again(db.session(), row.id)
    wake()
    return redirect(url_for("screenings.screening", number=number), 303)


@screening_pages.post(f"/screenings/{NUMBER}/cancel")
def screening_cancel(number: int) -> AnyResponse:
    cancel(db.session(), known(number).id)
    return redirect(url_for("screenings.screening", number=number), 303)


@screening_pages.post(f"/screenings/{NUMBER}/delete")
def screening_delete(number: int) -> AnyResponse:
    row = known(number)
    if not may_delete(row):
        abort(403)
    delete_screening(db.session(), row.id)
    return redirect(url_for("screenings.screenings"), 303)


@screening_pages.get(f"/screenings/{NUMBER}/export")
@rate_limit("search")
def screening_export(number: int) -> Response:
    row = known(number)
    listing = Listing.from_args(request.args, columns_of(row))
    return exported(row, listing, request.args.get("format", "csv"), skill_aliases())
