"""Uploaded files, kept until they are imported: a few of them, beside the database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sqlalchemy.orm import Session
from werkzeug.utils import secure_filename

from indexing.importing import Options, check_columns
from indexing.jobs import new_job
from indexing.reading import FileUnusable
from models import Job

KEPT_FILES = 5  # the oldest beyond them go, whether they were imported or not


def file_name(given: str) -> str:
    """Return a file's name as it is safe on the disk; its kind is kept whatever alphabet the rest is in."""
    path = Path(given)
    return secure_filename(f"{secure_filename(path.stem)[:80] or 'documents'}{path.suffix[:10]}")


def upload_path(folder: Path, job: Job) -> Path:
    return folder / f"{job.id}-{job.name}"


def accept(session: Session, folder: Path, given: str, save: Callable[[Path], object], options: Options) -> Job:
    """Keep an uploaded file and return the job that will import it; raises FileUnusable, and then nothing is kept."""
    job = new_job(session, file_name(given), options)
    path = upload_path(folder, job)
    folder.mkdir(parents=True, exist_ok=True)
    prune(folder)
    try:
        save(path)
        check_columns(path, options)
    except FileUnusable:
        path.unlink(missing_ok=True)
        session.delete(job)
        session.commit()
        raise
    return job


def prune(folder: Path) -> None:
    """Make room for one more file."""
    newest = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[KEPT_FILES - 1 :]:
        with suppress(FileNotFoundError):  # another request was faster
            path.unlink()
