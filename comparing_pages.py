"""Several side by side: one person against some jobs, or some people against one job."""

from __future__ import annotations

from flask import abort, render_template, request
from flask_babel import gettext

from matching.bounds import MOST_COLUMNS, MOST_SKILLS, TooMuch
from matching.gap import Job, NoSuchJob, job_by_id, jobs_by_ids
from matching.matrix import Matrix, jobs_matrix, people_matrix
from matching.skills import typed
from matching_pages import JOBS, PROFILES, match_address, too_much
from models import db
from routes import pages, semantic, skill_aliases
from search.query import Query, clean


@pages.get("/match/compare")
def compare() -> tuple[str, int]:
    """Answer `skills` with `job` again and again, or one `against` with `profile` again and again."""
    jobs = clean(request.args.get("collection", ""))[:64] or JOBS
    profiles = clean(request.args.get("profiles", ""))[:64] or PROFILES
    own_id, names = request.args.get("against", ""), typed(request.args.get("skills", ""))[:MOST_SKILLS]
    against, found, error = None, None, ""
    try:
        if own_id:
            against = job_by_id(db.session(), jobs, own_id)
            found = people_side_by_side(jobs, against, profiles)
        else:
            found = jobs_side_by_side(jobs, names)
    except NoSuchJob:
        abort(404)
    except TooMuch as much:
        error = said_of(much)
    shown = profiles if own_id else jobs
    page = render_template(
        "compare.html", query=Query(), found=found, error=error, against=against, skills=names, collection=jobs,
        shown=shown, match_address=match_address,
    )  # fmt: skip
    return page, 422 if error else 200


def jobs_side_by_side(collection: str, names: list[str]) -> Matrix:
    found = jobs_by_ids(db.session(), collection, chosen("job"))
    return jobs_matrix(db.session(), semantic(), collection, found, names, skill_aliases())


def people_side_by_side(collection: str, against: Job, profiles: str) -> Matrix:
    found = jobs_by_ids(db.session(), profiles, chosen("profile"))
    return people_matrix(db.session(), semantic(), collection, against, found, skill_aliases())


def chosen(name: str) -> list[str]:
    """Return the own ids that were chosen, each once; one too many at the most, so that it is told."""
    return list(dict.fromkeys(request.args.getlist(name)))[: MOST_COLUMNS + 1]


def said_of(error: TooMuch) -> str:
    if error.code == "columns":
        return gettext("Choose one to %(most)s to see side by side.", most=MOST_COLUMNS)
    return too_much(error)
