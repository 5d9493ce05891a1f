"""Imports that run behind a page: what is uploaded, how far it is, how it ended. True is what the table says."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.utils import secure_filename

from encoders.base import Encoder
from encoders.footprint import release_memory
from encoders.queue import EncoderAway
from indexing.embedding import embed
from indexing.importing import Options, Report, check_columns, import_file
from indexing.reading import FileUnusable
from models import Job

SILENT_S = 30  # a job that said nothing for so long was cut off, and can be started again
REPORT_EVERY_S = 0.5
KEPT_JOBS = 50
# Before a model that is away is asked again: a minute together, as long as memory rests, and each under SILENT_S.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0)
log = logging.getLogger("matmon.indexing")
Sessions = Callable[[], AbstractContextManager[Session]]


def new_job(session: Session, name: str, options: Options) -> Job:
    """Store a job that waits for the user's word, and forget the oldest beyond KEPT_JOBS."""
    job = Job(
        id=secrets.randbits(53), name=name, state="waiting", done=0, total=0, report={}, updated_at=int(time.time()),
        options={
            "collection": options.collection, "mapping": dict(options.mapping),
            "tag_separator": options.tag_separator, "drop": sorted(options.drop),
        },
    )  # fmt: skip
    session.add(job)
    old = select(Job.id).order_by(Job.updated_at.desc()).offset(KEPT_JOBS)
    for number in session.execute(old).scalars().all():
        session.execute(Job.__table__.delete().where(Job.id == number))  # type: ignore[attr-defined]
    session.commit()
    return job


def options_of(job: Job) -> Options:
    kept: dict[str, Any] = job.options
    return Options(kept["collection"], kept["mapping"], kept["tag_separator"], frozenset(kept["drop"]))


def is_cut_off(job: Job) -> bool:
    """True where the process that ran the job is gone; what it said in the future, it said before the clock was set."""
    return job.state in ("running", "embedding") and abs(time.time() - job.updated_at) > SILENT_S


class Running:
    """The thread that runs one job, with a session of its own.

    `encoder` gives None where there is no model, and raises EncoderAway where it may come again.
    """

    def __init__(
        self,
        sessions: Sessions,
        job: int,
        path: Path,
        encoder: Callable[[], Encoder | None],
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._sessions, self._job, self._path, self._encoder = sessions, job, path, encoder
        self._pauses_s, self._told = pauses_s, 0.0

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run, name=f"import-{self._job}", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        try:
            with self._sessions() as session:
                self._import(session)
        except FileUnusable as error:
            self._tell(state="failed", report={"message": str(error), "code": error.code})
        except Exception as error:
            self._tell(state="failed", report={"message": f"{type(error).__name__}: {error}"[:500], "code": "broken"})
            raise

    def _import(self, session: Session) -> None:
        job = session.get_one(Job, self._job)
        options = options_of(job)
        session.rollback()
        size = self._path.stat().st_size
        self._tell(state="running", total=size, done=0)
        report = import_file(session, self._path, options, lambda done: self._tell_sometimes(done=done))
        self._tell(report=figures(report))
        self._embed(session, options.collection)
        self._tell(state="done")
        self._path.unlink(missing_ok=True)

    def _embed(self, session: Session, collection: str) -> None:
        """Embed what was imported; where the model stays away, the rest waits for `flask embed`."""
        for pause_s in self._pauses_s:
            if self._embedded(session, collection):
                return
            release_memory()  # this thread was the last to hold a model that was given back
            self._tell(state="embedding")
            time.sleep(pause_s)
        if not self._embedded(session, collection):
            log.warning("Imported, and not all of it embedded; go on with: flask --app app embed")

    def _embedded(self, session: Session, collection: str) -> bool:
        """Embed all that can be now, and return False where the model went away; what was embedded is kept."""
        try:
            if encoder := self._encoder():
                self._tell(state="embedding", done=0, total=0)
                embed(
                    session, encoder, collection,
                    lambda progress: self._tell_sometimes(done=progress.done, total=progress.total),
                )  # fmt: skip
        except EncoderAway as away:
            log.warning("The import waits for the model: %s", away)
            return False
        return True

    def _tell_sometimes(self, **values: object) -> None:
        if time.monotonic() - self._told > REPORT_EVERY_S:
            self._tell(**values)

    def _tell(self, **values: object) -> None:
        self._told = time.monotonic()
        with self._sessions() as session:
            session.execute(update(Job).where(Job.id == self._job).values(updated_at=int(time.time()), **values))
            session.commit()


def figures(report: Report) -> dict[str, Any]:
    """Return what an import did, as the page shows it; the refused rows themselves up to a hundred."""
    written = report.written
    return {
        "new": written.new,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "refused": report.refused,
        "duplicates": report.duplicates,
        "rejects": rejected_rows(report.rejects) if report.rejects else [],
    }


def rejected_rows(path: Path, most: int = 100) -> list[dict[str, str]]:
    import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        return [json.loads(json.dumps(row)) for row, _ in zip(rows, range(most), strict=False)]


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
