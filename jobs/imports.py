"""Imports of uploaded files: stored as jobs, run in the background, reported as they are."""

from __future__ import annotations

import errno
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.utils import secure_filename

from encoders.base import Encoder
from encoders.footprint import release_memory
from encoders.queue import EncoderUnavailable
from indexing.embedding import embed
from indexing.importing import ImportReport, Options, check_file_columns, import_file
from indexing.reading import FileUnusable
from jobs.claims import Claim, Sessions, Stopped, claim_next, is_any_open, is_cut_off
from jobs.embedding import queue_embedding
from models import Job

MOST_JOBS = 50
MOST_FILES = 5  # the oldest files beyond them are deleted, whether they were imported or not
# Before a model that is away is asked again: a minute together, as long as the guard pauses it, each under SILENT_S.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0)
log = logging.getLogger("matmon.jobs")


def new_import(session: Session, name: str, options: Options) -> Job:
    """Store a job that waits until the user starts it, and forget the oldest beyond MOST_JOBS."""
    job = Job(
        id=secrets.randbits(53) or 1, kind="import", name=name, state="waiting", claim=0, done=0, total=0, report={},
        updated_at=int(time.time()),
        options={
            "collection": options.collection, "mapping": dict(options.mapping),
            "tag_separator": options.tag_separator, "drop": sorted(options.drop),
        },
    )  # fmt: skip
    session.add(job)
    old = select(Job.id).where(Job.kind == "import").order_by(Job.updated_at.desc()).offset(MOST_JOBS)
    session.execute(delete(Job).where(Job.id.in_(session.execute(old).scalars().all())))
    session.commit()
    return job


def options_of(job: Job) -> Options:
    values: dict[str, Any] = job.options
    return Options(values["collection"], values["mapping"], values["tag_separator"], frozenset(values["drop"]))


def import_job(session: Session, job_id: int) -> Job | None:
    job = session.get(Job, job_id)
    return job if job is not None and job.kind == "import" else None


def start_import(session: Session, job: Job) -> bool:
    """Queue an import that waits, failed, was cancelled or cut off; False if it is queued or runs already. Commits."""
    state = Job.state == job.state, Job.claim == job.claim
    if job.state not in ("waiting", "failed", "cancelled") and not is_cut_off(job):
        return False
    return set_state(session, job.id, "queued", *state)


def cancel_import(session: Session, job: Job) -> bool:
    """Cancel an import that is queued or runs: what was stored stays. False if it does neither. Commits."""
    return set_state(session, job.id, "cancelled", Job.state.in_(("queued", "running", "embedding")))


def set_state(session: Session, job_id: int, state: str, *conditions: Any) -> bool:
    values = {"state": state, "claim": 0, "updated_at": int(time.time())}
    changed = session.execute(update(Job).where(Job.id == job_id, *conditions).values(**values))
    session.commit()
    return bool(changed.rowcount)  # type: ignore[attr-defined]


class ImportJobs:
    """Runs queued imports whose file is on this host.

    `encoder` gives None without a model, and raises EncoderAway while it is away.
    """

    def __init__(
        self,
        sessions: Sessions,
        folder: Path,
        encoder: Callable[[], Encoder | None],
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._sessions, self._folder, self._encoder, self._pauses_s = sessions, folder, encoder, pauses_s

    def run_next(self, stop: threading.Event) -> bool:
        claim = claim_next(self._sessions, Job, stop, "queued", Job.kind == "import", can_run=self._has_file)
        if claim is None:
            return False
        self._run(claim)
        return True

    def is_open(self) -> bool:
        return is_any_open(self._sessions, Job, "queued", Job.kind == "import", can_run=self._has_file)

    def _has_file(self, job: Job) -> bool:
        """Tell whether the upload is on this host: another host's disk, or one that vanished, has it no more."""
        return upload_path(self._folder, job).exists()

    def _run(self, claim: Claim) -> None:
        try:
            self._import(claim)
        except Stopped as stopped:
            log.info("An import stopped: %s", stopped)
            claim.requeue("queued")
        except FileUnusable as error:
            self._fail(claim, message=str(error), code=error.key, values=error.values)
        except (SQLAlchemyError, ValueError, ArithmeticError, LookupError, OSError, RuntimeError) as error:
            log.exception("An import failed")
            self._fail(claim, message=f"{type(error).__name__}: {error}"[:500], code="broken")

    def _fail(self, claim: Claim, **report: Any) -> None:
        try:
            claim.report(state="failed", report=report)
        except (Stopped, SQLAlchemyError):
            log.warning("The failure of an import could not be stored; the import is taken up again")

    def _import(self, claim: Claim) -> None:
        with self._sessions() as session:
            job = session.get_one(Job, claim.id)
            options, path = options_of(job), upload_path(self._folder, job)
            session.rollback()
            claim.report(total=path.stat().st_size, done=0)
            report = import_file(session, path, options, lambda done: claim.report_sometimes(done=done))
            values = figures(report)
            claim.report(report=values)
            unembedded = self._embed(claim, session, options.collection)
            claim.report(state="done", report=values | {"unembedded": unembedded})
            if unembedded:
                queue_embedding(session)
        path.unlink(missing_ok=True)
        if report.rejects:  # the report has the first of them
            report.rejects.unlink(missing_ok=True)

    def _embed(self, claim: Claim, session: Session, collection: str) -> int:
        """Embed what was imported, and return how many documents and tags are left because the model stayed away."""
        for pause_s in (*self._pauses_s, None):
            left = self._embed_once(claim, session, collection)
            if not left or pause_s is None:
                break
            release_memory()  # this thread was the last to hold a model that was unloaded
            claim.report(state="embedding")
            claim.stop.wait(pause_s)
        if left:
            log.warning(
                "Imported, but %s documents and tags are not embedded yet; the embed job goes on with them", left
            )
        return left

    def _embed_once(self, claim: Claim, session: Session, collection: str) -> int:
        """Embed what can be embedded now, and return what is left; what was embedded is kept."""
        done = total = 0

        def progress(now: Any) -> None:
            nonlocal done, total
            done, total = now.done, now.total
            claim.report_sometimes(done=done, total=total)

        try:
            if encoder := self._encoder():
                claim.report(state="embedding", done=0, total=0)
                embed(session, encoder, collection, progress)
        except EncoderUnavailable as away:
            log.warning("The import waits for the model: %s", away)
            session.rollback()
            return max(total - done, 1)
        return 0


def figures(report: ImportReport) -> dict[str, Any]:
    """Return what an import did, as the page shows it; the refused rows themselves up to a hundred."""
    written = report.written
    return {
        "new": written.new,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "refused": report.refused,
        "duplicates": report.duplicates,
        "rejects": report.first_rejects,
    }


def file_name(given: str) -> str:
    """Return a file's name as it is safe on the disk; its kind is kept whatever alphabet the rest is in."""
    path = Path(given)
    return secure_filename(f"{secure_filename(path.stem)[:80] or 'documents'}{path.suffix[:10]}")


def upload_path(folder: Path, job: Job) -> Path:
    return folder / f"{job.id}-{job.name}"


def accept(session: Session, folder: Path, given: str, save: Callable[[Path], object], options: Options) -> Job:
    """Store an uploaded file and its job; raises FileUnusable and OSError, and then neither is left behind."""
    job = new_import(session, file_name(given), options)
    path = upload_path(folder, job)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        prune(folder)
        save(path)
        check_file_columns(path, options)
    except (FileUnusable, OSError) as error:
        path.unlink(missing_ok=True)  # first: on a full disk the database needs the room to delete the row
        session.delete(job)
        session.commit()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise FileUnusable("disk_full") from error
        raise
    return job


def prune(folder: Path) -> None:
    """Make room for one more file."""
    newest = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest[MOST_FILES - 1 :]:
        with suppress(FileNotFoundError):  # another request was faster
            path.unlink()
