"""Imports of uploaded files: stored as jobs and run in the background."""

from __future__ import annotations

import errno
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.footprint import release_memory
from encoders.queue import EncoderUnavailable
from indexing.embedding import embed
from indexing.extraction import STORED
from indexing.importing import ImportReport, import_file
from indexing.journal import Journal, can_undo, forget_old_changes
from indexing.layout import Options
from indexing.previews import check_file_columns
from indexing.rows import FileUnusable
from indexing.undo import undo_import
from jobs.claims import RUNNING, Claim, Queue, Sessions, Stopped, is_cut_off, set_state
from jobs.embedding import queue_embedding
from jobs.uploads import file_name, prune, upload_path
from models import Job
from utils.database_faults import is_passing

MOST_JOBS = 50
# Between attempts while the model is unavailable: a minute in all, as long as the guard pauses it; each below SILENT_S.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0)
UNDO = "undo"  # the option of a queued job that is to be undone
STARTED = "started"  # the option that tells when the present part began
log = logging.getLogger("matmon.jobs")


def new_import(session: Session, name: str, options: Options) -> Job:
    """Store a job that waits until the user starts it, and delete the oldest beyond MOST_JOBS."""
    job = Job(
        id=secrets.randbits(53) or 1, kind="import", name=name, state="waiting", claim=0, done=0, total=0, report={},
        updated_at=int(time.time()), options=stored_options(options),
    )  # fmt: skip
    session.add(job)
    old = select(Job.id).where(Job.kind == "import").order_by(Job.updated_at.desc()).offset(MOST_JOBS)
    session.execute(delete(Job).where(Job.id.in_(session.execute(old).scalars().all())))
    forget_old_changes(session)
    session.commit()
    return job


def stored_options(options: Options) -> dict[str, Any]:
    return {
        "collection": options.collection, "mapping": dict(options.mapping), "tag_separator": options.tag_separator,
        "drop": sorted(options.drop), "more_body": list(options.more_body), "encoding": options.encoding,
        "records": options.records, "private": options.private, "guesses": options.guesses,
        "sure_id": options.sure_id, "sheet": options.sheet, "folder_tags": options.folder_tags,
        "sync": options.sync,
    }  # fmt: skip


def options_of(job: Job) -> Options:
    """Return the options of a job; those of another release may be fewer or more."""
    values: dict[str, Any] = {name: job.options[name] for name in Options.__slots__ if name in job.options}
    return Options(**values | {"drop": frozenset(values["drop"]), "more_body": tuple(values.get("more_body", ()))})


def choose_options(session: Session, job: Job, options: Options) -> bool:
    """Store how the file of an import is to be read; False if it no longer waits. Commits."""
    is_waiting = Job.state == "waiting"
    return set_state(session, Job, job.id, "waiting", is_waiting, options=stored_options(options))


def import_job(session: Session, job_id: int) -> Job | None:
    job = session.get(Job, job_id)
    return job if job is not None and job.kind == "import" else None


def recent_imports(session: Session) -> list[Job]:
    """Return the last imports, the newest first."""
    newest = select(Job).where(Job.kind == "import").order_by(Job.updated_at.desc(), Job.id).limit(MOST_JOBS)
    return list(session.execute(newest).scalars())


def start_import(session: Session, job: Job) -> bool:
    """Queue an import that waits, failed, was cancelled or cut off; False if it is queued or running. Commits."""
    state = Job.state == job.state, Job.claim == job.claim
    if job.state not in ("waiting", "failed", "cancelled") and not is_cut_off(job):
        return False
    return set_state(session, Job, job.id, "queued", *state)


def start_undo(session: Session, job: Job) -> bool:
    """Queue the undoing of an import that is over; False if it is not, or changed nothing. Commits."""
    state = Job.state == job.state, Job.claim == job.claim
    is_over = job.state in ("done", "failed", "cancelled") or is_cut_off(job)
    if not is_over or not can_undo(session, job.id):
        return False
    return set_state(session, Job, job.id, "queued", *state, options=job.options | {UNDO: True})


def cancel_import(session: Session, job: Job) -> bool:
    """Cancel an import, keeping what was stored; False if it is neither queued nor running. Commits."""
    return set_state(session, Job, job.id, "cancelled", Job.state.in_(("queued", "running", "embedding")))


class ImportJobs:
    """Runs queued imports whose file is on this host.

    `encoder` returns None without a model, and raises EncoderUnavailable while the model is unavailable.
    """

    def __init__(
        self,
        sessions: Sessions,
        folder: Path,
        encoder: Callable[[], Encoder | None],
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._sessions, self._folder, self._encoder, self._pauses_s = sessions, folder, encoder, pauses_s
        self._queue = Queue(sessions, Job, conditions=(Job.kind == "import",), can_run=self._has_file)
        self.is_open = self._queue.is_open

    def run_next(self, stop: threading.Event) -> bool:
        claim = self._queue.claim_next(stop)
        if claim is None:
            return False
        self._run(claim)
        return True

    def _has_file(self, job: Job) -> bool:
        """Tell whether the upload is on this host, and not on another or deleted; undoing needs none."""
        return is_undo(job) or upload_path(self._folder, job).exists()

    def _run(self, claim: Claim) -> None:
        try:
            self._import(claim)
        except Stopped as stopped:
            log.info("An import stopped: %s", stopped)
            claim.requeue("queued")
        except FileUnusable as error:
            self._fail(claim, message=str(error), **error.as_json())
        except (SQLAlchemyError, ValueError, ArithmeticError, LookupError, OSError, RuntimeError) as error:
            if is_passing(error):
                claim.requeue_later("queued")
                raise
            log.exception("An import failed")
            self._fail(claim, message=f"{type(error).__name__}: {error}"[:500], code="broken")

    def _fail(self, claim: Claim, **report: Any) -> None:
        try:
            claim.report(state="failed", report=report)
        except (Stopped, SQLAlchemyError):
            log.warning("Could not store that an import failed; it is retried when its claim expires")

    def _import(self, claim: Claim) -> None:
        with self._sessions() as session:
            job = session.get_one(Job, claim.id)
            options, path = options_of(job), upload_path(self._folder, job)
            if is_undo(job):
                self._undo(claim, session, job)
                return
            stored = dict(job.options)
            session.rollback()
            claim.report(total=path.stat().st_size, done=0, options=stored | started_now())
            report = import_file(
                session, path, options, lambda done: claim.report_sometimes(done=done), journal=Journal(claim.id)
            )
            values = figures(report)
            claim.report(report=values)
            unembedded = self._embed(claim, session, stored)
            claim.report(state="done", report=values | {"unembedded": unembedded})
            if unembedded:
                queue_embedding(session)
        path.unlink(missing_ok=True)

    def _undo(self, claim: Claim, session: Session, job: Job) -> None:
        """Undo an import, embed what is as before again, and leave the job done, with both in its report."""
        options = {name: value for name, value in job.options.items() if name != UNDO}
        report, collection = dict(job.report), options_of(job).collection
        session.rollback()
        claim.report(total=0, done=0)
        undone = undo_import(
            session, claim.id, collection, lambda done, total: claim.report_sometimes(done=done, total=total)
        )
        claim.report(state="done", options=options, report=report | {"undone": asdict(undone)})
        if undone.restored:
            queue_embedding(session)

    def _embed(self, claim: Claim, session: Session, options: dict[str, Any]) -> int:
        """Embed what was imported, and return how many documents and tags are left if the model stays unavailable."""
        for pause_s in (*self._pauses_s, None):
            left = self._embed_once(claim, session, options)
            if not left or pause_s is None:
                break
            release_memory()  # this thread may have been the last to hold the unloaded model
            claim.report(state="embedding")
            claim.stop.wait(pause_s)
        if left:
            log.warning("Imported, but %s documents and tags are not embedded yet; the embed job continues", left)
        return left

    def _embed_once(self, claim: Claim, session: Session, options: dict[str, Any]) -> int:
        """Embed until done or the model is unavailable, and return how many documents and tags are left."""
        done = total = 0

        def progress(now: Any) -> None:
            nonlocal done, total
            done, total = now.done, now.total
            claim.report_sometimes(done=done, total=total)

        try:
            if encoder := self._encoder():
                claim.report(state="embedding", done=0, total=0, options=options | started_now())
                embed(session, encoder, options["collection"], progress)
        except EncoderUnavailable as error:
            log.warning("The import waits for the model: %s", error)
            session.rollback()
            return max(total - done, 1)
        return 0


def started_now() -> dict[str, int]:
    """Return the option that tells when the present part of a job began."""
    return {STARTED: int(time.time())}


def seconds_left(job: Job) -> float | None:
    """Return how long the present part of a running job takes at its pace; None until a twentieth is done."""
    is_known = job.state in RUNNING and STARTED in job.options and job.total <= 20 * job.done
    if not is_known or not job.total:
        return None
    started: int = job.options[STARTED]
    return max(job.updated_at - started, 1) * max(job.total - job.done, 0) / job.done


def is_undo(job: Job) -> bool:
    """Tell whether a queued job is to undo its import."""
    return bool(job.options.get(UNDO))


def figures(report: ImportReport) -> dict[str, Any]:
    """Return the report of an import, as the page and the API show it."""
    written = report.written
    return {
        "new": written.new,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "refused": report.refused,
        "duplicates": report.duplicates,
        "deleted": report.deleted,
        "not_synced": report.not_synced,
        "unused_id": report.unused_id,
        "rejects": report.first_rejects,
    }


def accept(
    session: Session,
    folder: Path,
    name: str,
    save: Callable[[Path], object],
    options: Options,
    check: Callable[[Path, Options], None] = check_file_columns,
) -> Job:
    """Store an uploaded file and its job; raises FileUnusable and OSError, and leaves neither behind."""
    if name.lower().endswith(STORED):
        raise FileUnusable("kind")  # rows that are already read come from this site only
    job = new_import(session, file_name(name), options)
    path = upload_path(folder, job)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        prune(folder)
        save(path)
        check(path, options)
    except (FileUnusable, OSError) as error:
        path.unlink(missing_ok=True)  # first, since on a full disk the database needs the space to delete the row
        session.delete(job)
        session.commit()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise FileUnusable("disk_full") from error
        raise
    return job
