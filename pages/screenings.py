"""The screening pages: start, follow, filter, decide, share and export."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from matching.documents import NoSuchJob, job_by_id, job_by_title
from matching.limits import JOBS, MOST_TEXT, PROFILES
from models import Screening, db
from operations.audit import about_profile
from screening.columns import OFFERED_COLUMNS
from screening.links import LONGEST_LINK_NAME, CannotShare, create_link, list_links, revoke_link
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
)
from screening.vocabulary import ScreenedJob, screened_job, screened_text
from search.documents import collections
from search.query import Query, clean_text
from utils.messages import Refusal
from web.access import caller, is_admin
from web.audit import record_request
from web.current import settings, skill_aliases
from web.errors import http_status, translated
from web.owners import client_number, owner_or_new
from web.rate_limits import rate_limit
from web.screenings import (
    NUMBER,
    author_of,
    columns_of,
    exported,
    right_to,
    screening_address,
    screening_or_404,
    share_secret,
    visible_screenings,
    wake,
)

screening_pages = Blueprint("screenings", __name__)


@screening_pages.get("/screenings")
def screenings() -> str:
    return screenings_page(request.args)


def screenings_page(form: Mapping[str, str], error: str = "", choices: tuple[tuple[str, str], ...] = ()) -> str:
    jobs, profiles = chosen_collections(form)
    return render_template(
        "screenings.html", query=Query(), screenings=visible_screenings(is_admin()), error=error, choices=choices,
        collections=collections(db.session()), jobs=jobs, profiles=profiles, job=form.get("job", "")[:500],
        said=form.get("text", "")[:MOST_TEXT], most_text=MOST_TEXT, kept=KEPT_SCREENINGS, most_profiles=MOST_PROFILES,
        admin=is_admin(), days=settings().screening_days,
    )  # fmt: skip


def chosen_collections(form: Mapping[str, str]) -> tuple[str, str]:
    """Return the names of the collections of jobs and profiles."""
    jobs, profiles = (clean_text(form.get(name, ""))[:64] for name in ("jobs", "profiles"))
    return jobs or JOBS, profiles or PROFILES


@screening_pages.post("/screenings")
@rate_limit("search")
def screenings_begin() -> AnyResponse | tuple[str, int]:
    form = request.form
    try:
        job = chosen_job(form)
        screening = create_screening(db.session(), owner_or_new(), job, chosen_collections(form)[1], client_number())
    except Refusal as error:
        return screenings_page(form, translated(error), getattr(error, "choices", ())), http_status(error)
    record_request("screening begun", f"screening {screening.id}")
    wake()
    return redirect(url_for("screenings.screening", number=screening.id), 303)


def chosen_job(form: Mapping[str, str]) -> ScreenedJob:
    """Return the job of a form, by id, by title or as a pasted text; raises Refusal."""
    jobs, profiles = chosen_collections(form)
    job, job_text, session = form.get("job", "").strip(), form.get("text", ""), db.session()
    if not job and job_text.strip():
        return screened_text(session, jobs, profiles, job_text[: MOST_TEXT + 1], skill_aliases())
    try:
        stored_job = job_by_id(session, jobs, job)
    except NoSuchJob:
        stored_job = job_by_title(session, jobs, job)
    return screened_job(session, jobs, stored_job.id)


@screening_pages.get(f"/screenings/{NUMBER}")
@rate_limit("search")
def screening(number: int) -> AnyResponse | str:
    row = screening_or_404(number)
    listing = Listing.from_args(request.args, columns_of(row))
    if "" in request.args.values():  # a form's empty fields: the address to keep and to send is without them
        return redirect(screening_address(row, listing), 303)
    return screening_page(row, listing)


def screening_page(
    row: Screening, listing: Listing, error: str = "", typed: tuple[str, str] = ("", ""), shared: str = ""
) -> str:
    """Return the page; `typed` is the profile and the note that were refused, `shared` the address of a new link."""
    session, right = db.session(), right_to(row)
    results = ScreeningMatches(session, row, listing, skill_aliases()).page()
    return render_template(
        "screening.html", query=Query(), screening=row, results=results, listing=listing, error=error, typed=typed,
        columns=[column for column in columns_of(row) if column.is_offered][:OFFERED_COLUMNS],
        counts=status_counts(session, row), since=written_since(session, row), asked=required_skills_of(row),
        statuses=STATUSES, runs=row.state in OPEN, longest_note=LONGEST_NOTE, owns=right == "own",
        may_decide=right != "read", links=list_links(session, row.id) if right == "own" else (), shared=shared,
        longest_link_name=LONGEST_LINK_NAME,
        here=lambda **changes: screening_address(row, listing, **changes), everybody=screening_address(row, Listing()),
        share=share_secret(), to=lambda end, **changes: screening_address(row, listing, end=end, **changes),
    )  # fmt: skip


@screening_pages.post(f"/screenings/{NUMBER}/profiles")
@rate_limit("search")
def screening_decide(number: int) -> AnyResponse | tuple[str, int]:
    """Store the decision on a profile, and return to the list as it was."""
    row, form = screening_or_404(number, "decide"), request.form
    listing = Listing.from_args(request.args, columns_of(row))
    status, note = form.get("status", ""), clean_text(form.get("note", "").replace("\r\n", "\n"))
    if status not in STATUSES:
        abort(422)
    try:
        if not decide(db.session(), row, form.get("profile", ""), status, note, author_of(row)):
            abort(404)
    except NoteTooLong as error:
        return screening_page(row, listing, translated(error), (form.get("profile", ""), note)), 413
    record_request("screening decided", about_profile(row.id, form.get("profile", "")), author_of(row))
    return redirect(f"{screening_address(row, listing)}#p{form.get('place', '')[:20]}", 303)


@screening_pages.post(f"/screenings/{NUMBER}/run")
@rate_limit("search")
def screening_run(number: int) -> AnyResponse:
    run_again(db.session(), screening_or_404(number, "own").id)
    record_request("screening run", f"screening {number}")
    wake()
    return redirect(url_for("screenings.screening", number=number), 303)


@screening_pages.post(f"/screenings/{NUMBER}/cancel")
def screening_cancel(number: int) -> AnyResponse:
    cancel(db.session(), screening_or_404(number, "own").id)
    return redirect(url_for("screenings.screening", number=number), 303)


@screening_pages.post(f"/screenings/{NUMBER}/delete")
def screening_delete(number: int) -> AnyResponse:
    delete_screening(db.session(), screening_or_404(number, "own").id)
    record_request("screening deleted", f"screening {number}")
    return redirect(url_for("screenings.screenings"), 303)


@screening_pages.post(f"/screenings/{NUMBER}/links")
@rate_limit("search")
def screening_share(number: int) -> str | tuple[str, int]:
    """Make a link and show it, this once."""
    row, form = screening_or_404(number, "own"), request.form
    listing, may_decide = Listing.from_args(request.args, columns_of(row)), bool(form.get("may_decide"))
    try:
        name = clean_text(form.get("name", ""))
        _, secret = create_link(db.session(), row, name, may_decide=may_decide, made_by=caller().key)
    except CannotShare as error:
        return screening_page(row, listing, translated(error)), 422
    record_request("screening shared", f"screening {number}, {name}, {'may decide' if may_decide else 'may read'}")
    address = url_for("screenings.screening", number=number, share=secret, _external=True)
    return screening_page(row, listing, shared=address)


@screening_pages.post(f"/screenings/{NUMBER}/links/<int(max=9007199254740991):link>/revoke")
@rate_limit("search")
def screening_unshare(number: int, link: int) -> AnyResponse:
    revoke_link(db.session(), screening_or_404(number, "own").id, link)
    record_request("screening unshared", f"screening {number}")
    return redirect(url_for("screenings.screening", number=number), 303)


@screening_pages.get(f"/screenings/{NUMBER}/export")
@rate_limit("search")
def screening_export(number: int) -> Response:
    row = screening_or_404(number)
    return exported(row, Listing.from_args(request.args, columns_of(row)), request.args.get("format", "csv"))
