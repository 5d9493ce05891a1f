"""The skill matching pages: jobs that fit a person, the gap to one job, and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from matching.compare import Gap, Matrix, gap, jobs_matrix, people_matrix
from matching.documents import JobDocument, job_by_id, jobs_by_ids
from matching.limits import JOBS, MOST_COLUMNS, MOST_SKILLS, MOST_TEXT, PROFILES, TooMuch
from matching.mentions import mentions
from matching.recommend import Recommendations, recommend
from matching.skills import split_skills
from models import db
from search.documents import collections
from search.query import Query, clean_text
from web.current import readings_of, runtime, semantic, skill_aliases
from web.errors import translated
from web.rate_limits import rate_limit

matching_pages = Blueprint("matching", __name__)

JOBS_SHOWN = 20
IDS_ROOM = 800  # characters of an address that the ids of ten jobs take
LONGEST_ADDRESS = 3_000  # characters: gunicorn refuses a request line of more than 4,094


@matching_pages.get("/match")
@rate_limit("search")
def match() -> tuple[str, int]:
    return match_page(request.args)


@matching_pages.post("/match")
@rate_limit("search")
def match_asked() -> AnyResponse | tuple[str, int]:
    """Answer a form; redirect to an address that can be kept and shared if everything fits into one."""
    form = {name: request.form.get(name, "") for name in ("skills", "collection", "job")}
    if request.form.get("cv", "").strip() or sum(map(len, form.values())) > LONGEST_ADDRESS:
        return match_page(request.form)
    address = match_address(form["skills"], form["collection"], form["job"])
    return redirect(address, 303) if len(address) <= LONGEST_ADDRESS else match_page(request.form)


def match_address(skills: str, collection: str, job: str = "") -> str:
    """Return the address of a match, with the skills as one comma-separated parameter."""
    values = {
        "skills": ", ".join(split_skills(skills)),
        "collection": collection if collection != JOBS else "",
        "job": job,
    }
    parameters = urlencode({name: value for name, value in values.items() if value})
    return f"{url_for('matching.match')}?{parameters}" if parameters else url_for("matching.match")


def match_page(args: Mapping[str, str]) -> tuple[str, int]:
    """Return the page of the jobs that fit, or of the gap to one job."""
    collection, own_id = clean_text(args.get("collection", ""))[:64] or JOBS, args.get("job", "")
    names, cv = split_skills(args.get("skills", "")[: MOST_TEXT + 1]), args.get("cv", "")
    matches: Recommendations | Gap | None = None
    error = ""
    try:
        matches = matched(collection, own_id, names, cv)
    except TooMuch as too_much:
        error = translated(too_much)
    page = render_template(
        "match.html", query=Query(), found=matches, error=error, collection=collection, said=cv,
        skills=[skill.text for skill in matches.skills] if matches else names[:MOST_SKILLS],
        collections=collections(db.session()), match_address=match_address, longest_address=LONGEST_ADDRESS,
        is_gap=isinstance(matches, Gap), most_text=MOST_TEXT, ids_room=IDS_ROOM,
        readings=readings_of(matches.answers, collection) if isinstance(matches, Gap) else {},
    )  # fmt: skip
    return page, 413 if error else 200


def matched(collection: str, own_id: str, names: list[str], cv: str) -> Recommendations | Gap:
    """Return the gap to one job, or the jobs that fit; raises TooMuch and NoSuchJob."""
    if not own_id:
        return recommend(db.session(), semantic(), collection, names, cv, JOBS_SHOWN, skill_aliases())
    job = job_by_id(db.session(), collection, own_id)
    if cv.strip():
        named = mentions(db.session(), collection, cv[:MOST_TEXT], MOST_SKILLS, skill_aliases())
        names = [*names, *(mention.skill for mention in named)]
    return gap(db.session(), semantic(), collection, job, names[:MOST_SKILLS], skill_aliases())


@matching_pages.app_context_processor
def match_link() -> dict[str, Any]:
    """Give every template what the link to this page needs: shown if there is a collection of jobs."""
    return {"has_jobs": lambda: runtime().job_collection.is_filled(db.session()), "jobs_collection": JOBS}


@matching_pages.get("/match/compare")
@rate_limit("search")
def compare() -> tuple[str, int]:
    """Compare `skills` with each `job`, or each `profile` with the job `against`."""
    jobs = clean_text(request.args.get("collection", ""))[:64] or JOBS
    profiles = clean_text(request.args.get("profiles", ""))[:64] or PROFILES
    own_id, names = request.args.get("against", ""), split_skills(request.args.get("skills", ""))[:MOST_SKILLS]
    against, matrix, error = None, None, ""
    try:
        if own_id:
            against = job_by_id(db.session(), jobs, own_id)
            matrix = people_side_by_side(jobs, against, profiles)
        else:
            matrix = jobs_side_by_side(jobs, names)
    except TooMuch as too_much:
        error = translated(too_much)
    page = render_template(
        "compare.html", query=Query(), found=matrix, error=error, against=against, skills=names, collection=jobs,
        shown=profiles if own_id else jobs, match_address=match_address,
    )  # fmt: skip
    return page, 422 if error else 200


def jobs_side_by_side(collection: str, names: list[str]) -> Matrix:
    documents = jobs_by_ids(db.session(), collection, chosen_ids("job"))
    return jobs_matrix(db.session(), semantic(), collection, documents, names, skill_aliases())


def people_side_by_side(collection: str, against: JobDocument, profiles: str) -> Matrix:
    documents = jobs_by_ids(db.session(), profiles, chosen_ids("profile"))
    return people_matrix(db.session(), semantic(), collection, against, documents, skill_aliases())


def chosen_ids(name: str) -> list[str]:
    """Return the chosen ids, each once, and at most one more than allowed, so that too many are refused."""
    return list(dict.fromkeys(request.args.getlist(name)))[: MOST_COLUMNS + 1]
