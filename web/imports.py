"""What the pages and the API of imports share."""

from __future__ import annotations

from flask import abort

from indexes.access import is_private_by_default
from jobs.imports import import_job, options_of
from models import Job, db
from web.access import Caller


def about_import(job: Job) -> str:
    """Return how the audit log names an import: not by its file, whose name may be a person's."""
    options = options_of(job)
    return f"{options.collection}, import {job.id}{', made private' if options.private else ''}"


def wants_private(collection: str, chosen: str) -> bool:
    """Whether an import makes its collection private: as chosen, or as the collection's name tells if nothing is."""
    return chosen in ("1", "true") if chosen else is_private_by_default(db.session(), collection)


def import_or_404(number: int, who: Caller) -> Job:
    """Return an import into a collection that the caller may write."""
    job = import_job(db.session(), number)
    if job is None or not who.may_write(options_of(job).collection):
        abort(404, "There is no such import.")
    return job
