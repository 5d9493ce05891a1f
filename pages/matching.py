"""The pages that match skills: which jobs fit a person, and what of one job a person has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from matching.compare import Gap, Matrix, gap, jobs_matrix, people_matrix
from matching.documents import JobDocument, NoSuchJob, job_by_id, jobs_by_ids
from matching.limits import JOBS, LONGEST_SKILL, MOST_COLUMNS, MOST_SKILLS, MOST_TEXT, PROFILES, TooMuch
from matching.mentions import mentions
from matching.readings import Reading, readings
from matching.recommend import Recommendations, recommend
from matching.skills import split_skills
from models import db
from search.documents import collections
from search.query import Query, clean_text
from web.current import runtime, semantic, skill_aliases
from web.rate_limits import rate_limit

matching_pages = Blueprint("matching", __name__)

JOBS_SHOWN = 20
IDS_ROOM = 800  # characters of an address that the ids of ten jobs take
LONGEST_ADDRESS = 3_000  # characters: gunicorn refuses a request's first line of more than 4,094


@matching_pages.get("/match")
@rate_limit("search")
def match() -> tuple[str, int]:
    return match_page(request.args)


@matching_pages.post("/match")
@rate_limit("search")
def match_asked() -> AnyResponse | tuple[str, int]:
    """Answer a form; what fits into an address is led to it, so that it can be kept and shared."""
    form = {name: request.form.get(name, "") for name in ("skills", "collection", "job")}
    if request.form.get("cv", "").strip() or sum(map(len, form.values())) > LONGEST_ADDRESS:
        return match_page(request.form)
    address = match_address(form["skills"], form["collection"], form["job"])
    return redirect(address, 303) if len(address) <= LONGEST_ADDRESS else match_page(request.form)


def match_address(skills: str, collection: str, job: str = "") -> str:
    """Return the address of a match, its skills one after another."""
    shown = {
        "skills": ", ".join(split_skills(skills)),
        "collection": collection if collection != JOBS else "",
        "job": job,
    }
    parameters = urlencode({name: value for name, value in shown.items() if value})
    return f"{url_for('matching.match')}?{parameters}" if parameters else url_for("matching.match")


def match_page(args: Mapping[str, str]) -> tuple[str, int]:
    """Return the page of the jobs that fit, or of one job and what of it a person has."""
    collection, own_id = clean_text(args.get("collection", ""))[:64] or JOBS, args.get("job", "")
    names, cv = split_skills(args.get("skills", "")[: MOST_TEXT + 1]), args.get("cv", "")
    matches: Recommendations | Gap | None = None
    error = ""
    try:
        matches = matched(collection, own_id, names, cv)
    except TooMuch as much:
        error = too_much(much)
    listed = [one.text for one in matches.skills] if matches else names[:MOST_SKILLS]
    page = render_template(
        "match.html", query=Query(), found=matches, error=error, collection=collection, skills=listed, said=cv,
        collections=collections(db.session()), match_address=match_address, longest_address=LONGEST_ADDRESS,
        is_gap=isinstance(matches, Gap), most_text=MOST_TEXT, ids_room=IDS_ROOM,
        readings=readings_of(matches, collection),
    )  # fmt: skip
    return page, 413 if error else 200


def matched(collection: str, own_id: str, names: list[str], said: str) -> Recommendations | Gap:
    """Return one job's gap or the jobs that fit; raises TooMuch, and 404 for a job that is not there."""
    if not own_id:
        return recommend(db.session(), semantic(), collection, names, said, JOBS_SHOWN, skill_aliases())
    try:
        job = job_by_id(db.session(), collection, own_id)
    except NoSuchJob:
        abort(404)
    if said.strip():
        named = mentions(db.session(), collection, said[:MOST_TEXT], MOST_SKILLS, skill_aliases())
        names = [*names, *(mention.skill for mention in named)]
    return gap(db.session(), semantic(), collection, job, names[:MOST_SKILLS], skill_aliases())


def readings_of(found: Recommendations | Gap | None, collection: str) -> dict[str, tuple[Reading, ...]]:
    """Return what explains the skills that are missing for one job, by the skill."""
    if not isinstance(found, Gap):
        return {}
    answers = found.answers
    return readings(
        db.session(), [*answers.missing, *answers.missing_optional], {collection, PROFILES}, skill_aliases()
    )


def too_much(error: TooMuch) -> str:
    """Return what to do with more than is taken, in the user's language."""
    said: dict[str, str] = {
        "skills": gettext("More than %(most)s skills: keep the most important ones.", most=MOST_SKILLS),
        "skill": gettext(
            "A skill is longer than %(most)s characters: write one per line, or separate them with commas.",
            most=LONGEST_SKILL,
        ),
        "text": gettext("The text is longer than %(most)s characters: paste part of it.", most=MOST_TEXT),
    }
    return said[error.code]


@matching_pages.app_context_processor
def match_link() -> dict[str, Any]:
    return {"has_jobs": has_jobs, "jobs_collection": JOBS}


def has_jobs() -> bool:
    """Tell whether there is a collection to match skills with, for the link on every page."""
    return runtime().job_collection.is_filled(db.session())


@matching_pages.get("/match/compare")
@rate_limit("search")
def compare() -> tuple[str, int]:
    """Answer `skills` with `job` again and again, or one `against` with `profile` again and again."""
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
    except NoSuchJob:
        abort(404)
    except TooMuch as much:
        error = said_of(much)
    shown = profiles if own_id else jobs
    page = render_template(
        "compare.html", query=Query(), found=matrix, error=error, against=against, skills=names, collection=jobs,
        shown=shown, match_address=match_address,
    )  # fmt: skip
    return page, 422 if error else 200


def jobs_side_by_side(collection: str, names: list[str]) -> Matrix:
    documents = jobs_by_ids(db.session(), collection, chosen("job"))
    return jobs_matrix(db.session(), semantic(), collection, documents, names, skill_aliases())


def people_side_by_side(collection: str, against: JobDocument, profiles: str) -> Matrix:
    documents = jobs_by_ids(db.session(), profiles, chosen("profile"))
    return people_matrix(db.session(), semantic(), collection, against, documents, skill_aliases())


def chosen(name: str) -> list[str]:
    """Return the chosen ids, each once, and at most one more than allowed, so that too many are refused."""
    return list(dict.fromkeys(request.args.getlist(name)))[: MOST_COLUMNS + 1]


def said_of(error: TooMuch) -> str:
    if error.code == "columns":
        return str(gettext("Choose 1 to %(most)s to compare.", most=MOST_COLUMNS))
    return too_much(error)
