"""The pages that match skills: which jobs fit a person, and what of one job a person has."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import abort, current_app, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from matching.bounds import LONGEST_SKILL, MOST_SKILLS, MOST_TEXT, TooMuch
from matching.gap import Gap, NoSuchJob, gap, job_by_id
from matching.learning import Reading, readings
from matching.recommend import Recommendations, recommend
from matching.skills import typed
from matching.vocabulary import named_skills, size
from models import db
from routes import pages, semantic, skill_aliases
from search.documents import collections
from search.query import Query, clean

JOBS = "jobs"  # the collection that skills are matched with where none is chosen
PROFILES = "profiles"
JOBS_SHOWN = 20
IDS_ROOM = 800  # characters of an address that the ids of ten jobs take
LONGEST_ADDRESS = 3_000  # characters: gunicorn refuses a request's first line of more than 4,094
KEPT_S = 30.0


@pages.get("/match")
def match() -> tuple[str, int]:
    return match_page(request.args)


@pages.post("/match")
def match_asked() -> AnyResponse | tuple[str, int]:
    """Answer a form; what fits into an address is led to it, so that it can be kept and shared."""
    form = {name: request.form.get(name, "") for name in ("skills", "collection", "job")}
    if request.form.get("cv", "").strip() or sum(map(len, form.values())) > LONGEST_ADDRESS:
        return match_page(request.form)
    address = match_address(form["skills"], form["collection"], form["job"])
    return redirect(address, 303) if len(address) <= LONGEST_ADDRESS else match_page(request.form)


def match_address(skills: str, collection: str, job: str = "") -> str:
    """Return the address of a match, its skills one after another."""
    shown = {"skills": ", ".join(typed(skills)), "collection": collection if collection != JOBS else "", "job": job}
    asked = urlencode({name: value for name, value in shown.items() if value})
    return f"{url_for('pages.match')}?{asked}" if asked else url_for("pages.match")


def match_page(args: Mapping[str, str]) -> tuple[str, int]:
    """Return the page of the jobs that fit, or of one job and what of it a person has."""
    collection, own_id = clean(args.get("collection", ""))[:64] or JOBS, args.get("job", "")
    names, said = typed(args.get("skills", "")[: MOST_TEXT + 1]), args.get("cv", "")
    found: Recommendations | Gap | None = None
    error = ""
    try:
        found = matched(collection, own_id, names, said)
    except TooMuch as much:
        error = too_much(much)
    listed = [one.text for one in found.skills] if found else names[:MOST_SKILLS]
    page = render_template(
        "match.html", query=Query(), found=found, error=error, collection=collection, skills=listed, said=said,
        collections=collections(db.session()), match_address=match_address, longest_address=LONGEST_ADDRESS,
        is_gap=isinstance(found, Gap), most_text=MOST_TEXT, readings=readings_of(found, collection), ids_room=IDS_ROOM,
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
        names = [*names, *named_skills(db.session(), collection, said[:MOST_TEXT], MOST_SKILLS, skill_aliases())]
    return gap(db.session(), semantic(), collection, job, names[:MOST_SKILLS], skill_aliases())


def readings_of(found: Recommendations | Gap | None, collection: str) -> dict[str, tuple[Reading, ...]]:
    """Return what explains the skills that are missing for one job, by the skill."""
    if not isinstance(found, Gap):
        return {}
    told = found.answers
    return readings(db.session(), [*told.missing, *told.missing_optional], {collection, PROFILES}, skill_aliases())


def too_much(error: TooMuch) -> str:
    """Return what to do with more than is taken, in the user's language."""
    said = {
        "skills": gettext("More than %(most)s skills: leave the most telling ones.", most=MOST_SKILLS),
        "skill": gettext(
            "A skill is longer than %(most)s characters: one a line, or commas between.", most=LONGEST_SKILL
        ),
        "text": gettext("The text is longer than %(most)s characters: paste a part of it.", most=MOST_TEXT),
    }
    return said[error.code]


@pages.app_context_processor
def match_link() -> dict[str, Any]:
    return {"has_jobs": has_jobs, "jobs_collection": JOBS}


def has_jobs() -> bool:
    """Tell whether there is a collection to match skills with; looked at every KEPT_S seconds.

    While the database is away it is as it was: pages that need no database have this link too.
    """
    at, there = current_app.extensions.get("matmon.has_jobs", (0.0, False))
    if time.monotonic() - at >= KEPT_S or not at:
        try:
            there = size(db.session(), JOBS) > 0
        except SQLAlchemyError:
            db.session.rollback()
        current_app.extensions["matmon.has_jobs"] = time.monotonic(), there
    return bool(there)
