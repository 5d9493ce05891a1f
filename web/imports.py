"""What the pages and the API of imports share."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from flask import abort
from werkzeug.datastructures import FileStorage

from indexes.access import is_private_by_default
from jobs.imports import import_job, options_of
from models import Job, db
from web.access import Caller


def uploaded(files: Sequence[FileStorage]) -> tuple[str, Callable[[Path], object]] | None:
    """Return the name of what was sent, and how to save it: several files are one archive. None if no file was sent."""
    sent = [file for file in files if file.filename]
    if not sent:
        return None
    if len(sent) == 1:
        return str(sent[0].filename), sent[0].save
    folder = str(sent[0].filename).replace("\\", "/").rpartition("/")[0].partition("/")[0]
    return f"{folder or 'files'}.zip", lambda path: save_archive(sent, path)


def save_archive(files: Sequence[FileStorage], path: Path) -> None:
    """Store files in one archive under their names, which have their folders if a folder was sent."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            with archive.open(str(file.filename), "w", force_zip64=True) as target:
                shutil.copyfileobj(file.stream, target)


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
