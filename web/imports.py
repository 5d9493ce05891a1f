"""What the pages and the API of imports share."""

from __future__ import annotations

from flask import abort

from jobs.imports import import_job
from models import Job, db


def import_or_404(number: int) -> Job:
    return import_job(db.session(), number) or abort(404, "There is no such import.")
