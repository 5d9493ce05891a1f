"""Uploaded files and what is beside them: their names, their paths, and when they are deleted."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from werkzeug.utils import secure_filename

from indexing.importing import REJECTS
from jobs.claims import RUNNING, is_cut_off
from models import ImportChange, Job

MOST_FILES = 12  # older files are deleted, imported or not
AT_WORK = ("queued", *RUNNING)


def file_name(name: str) -> str:
    """Return a file name that is safe on disk; the suffix is kept, whatever alphabet the rest is in."""
    path = Path(name)
    return secure_filename(f"{secure_filename(path.stem)[:80] or 'documents'}{path.suffix[:10]}")


def upload_path(folder: Path, job: Job) -> Path:
    return folder / f"{job.id}-{job.name}"


def rejects_path(folder: Path, job: Job) -> Path:
    """Return the file of all rows that an import refused; it is kept as long as an upload."""
    path = upload_path(folder, job)
    return path.with_name(path.name + REJECTS)


def prune(folder: Path) -> None:
    """Delete the oldest uploads, and what was made of them, to leave room for one more."""
    uploads: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
        uploads.setdefault(path.name.partition("-")[0], []).append(path)
    for path in chain.from_iterable(list(uploads.values())[MOST_FILES - 1 :]):
        with suppress(FileNotFoundError):  # another request has deleted it
            path.unlink()


def delete_old_uploads(session: Session, folder: Path, before: int) -> int:
    """Delete files stored before a second since 1970, and the refused rows in reports; commits, and returns how many.

    What these imports changed is forgotten too; what an import is at work on stays.
    """
    jobs = session.execute(select(Job).where(Job.kind == "import")).scalars().all()
    at_work = [upload_path(folder, job).name for job in jobs if job.state in AT_WORK and not is_cut_off(job)]
    deleted = 0
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before and not path.name.startswith(tuple(at_work)):
                path.unlink()
                deleted += 1
    for job in jobs:
        if job.updated_at < before and job.state not in AT_WORK:
            job.report = without_rejects(job)
            session.execute(delete(ImportChange).where(ImportChange.job_id == job.id))
    session.commit()
    return deleted


def without_rejects(job: Job) -> dict[str, Any]:
    """Return an import's report without the rows that were refused."""
    return {name: [] if name == "rejects" else value for name, value in job.report.items()}
