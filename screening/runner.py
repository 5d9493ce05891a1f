"""Running screenings behind the pages: by whichever process claims one; cut off, they go on where they were.

What is left to do is what the tables say: profiles without a result, or written since theirs was made. So a start,
going on, and ranking again what changed are one and the same.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from hashlib import blake2b

from sqlalchemy import Table, and_, func, not_, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from encoders.footprint import release_memory
from indexes.version import caught_up
from matching.aliases import Aliases
from matching.collection_state import size
from matching.jobs import Asked
from models import Document, Screening, ScreeningResult, number
from screening.columns import columns
from screening.store import MOST_PROFILES, SILENT_S, asked_of
from screening.vocabulary import Vocabulary, score_of, tags_by_profile, vocabulary
from search.semantic import Semantic
from utils.sql import among, upsert

BATCH = 500  # profiles a transaction: some 30 ms of work, and as much may be done twice after a cut
MOST_PASSES = 4  # over what is written while a screening runs; what comes later is told on the page
PAUSES_S = (0.5, 2.0, 5.0)  # before a batch is tried again that found the database busy, or a profile just deleted
MODEL_WAIT_S, WAIT_STEP_S = 20.0, 0.5  # for a model that skills of the job need
LOOK_EVERY_S = 1.0
TAKE_UP_S = 2 * SILENT_S  # after a start: what its predecessor was at is taken for cut off by then

Sessions = Callable[[], AbstractContextManager[Session]]
log = logging.getLogger("matmon.matching")


class Stopped(Exception):
    """The screening was cancelled, deleted, or claimed by another process."""


def run_waiting(sessions: Sessions, semantic: Semantic, aliases: Callable[[], Aliases]) -> int:
    """Run every screening that waits or was cut off, one after another, and return how many; any process may."""
    count = 0
    while mine := _claimed(sessions):
        Run(sessions, semantic, aliases(), *mine).run()
        count += 1
    return count


def _claimed(sessions: Sessions) -> tuple[int, int] | None:
    """Return a screening and the claim on it. A conditional update claims it: of two processes one gets it."""
    now = int(time.time())
    is_silent = not_(Screening.updated_at.between(now - SILENT_S, now + SILENT_S))  # as is_cut_off has it
    free = or_(Screening.state == "waiting", and_(Screening.state == "running", is_silent))
    with sessions() as session:
        for screening in session.execute(select(Screening.id).where(free).order_by(Screening.made_at)).scalars().all():
            claim = secrets.randbits(53)
            values = {"state": "running", "claim": claim, "updated_at": int(time.time())}
            changed = session.execute(update(Screening).where(Screening.id == screening, free).values(**values))
            session.commit()
            if changed.rowcount:  # type: ignore[attr-defined]
                return screening, claim
    return None


def is_any_open(sessions: Sessions) -> bool:
    """Tell whether a screening waits or runs anywhere."""
    with sessions() as session:
        rows = select(func.count()).select_from(Screening).where(Screening.state.in_(("waiting", "running")))
        return session.execute(rows).scalar_one() > 0


class Run:
    """One run of one screening, with a session of its own; it ends when its claim is no longer the table's."""

    def __init__(self, sessions: Sessions, semantic: Semantic, aliases: Aliases, screening: int, claim: int) -> None:
        self._sessions, self._semantic, self._aliases = sessions, semantic, aliases
        self._screening, self._claim = screening, claim

    def run(self) -> None:
        """Rank, and tell the table how it ended; what goes wrong is there too, and in the log."""
        try:
            with self._sessions() as session:
                self._rank(session)
        except Stopped:
            log.info("A screening was stopped")
        except (SQLAlchemyError, ValueError, ArithmeticError, LookupError, OSError, RuntimeError) as error:
            log.exception("A screening failed")
            self._fail(f"{type(error).__name__}: {str(error)[:300]}")
        finally:
            release_memory()

    def _fail(self, message: str) -> None:
        try:
            with self._sessions() as session:
                self._tell(session, state="failed", message=message)
        except (Stopped, SQLAlchemyError):
            log.warning("A failed screening could not be told so; it is taken up again when its time is over")

    def _rank(self, session: Session) -> None:
        """Rank until nothing was written meanwhile, MOST_PASSES times at most."""
        for _ in range(MOST_PASSES):
            version = _version(session)
            is_whole = self._pass(session, version)
            if _version(session) == version:
                break
        self._tell(session, state="done", message="" if is_whole else "model")

    def _pass(self, session: Session, version: int) -> bool:
        """Rank what has no result as it is now, and return whether all skills could be compared."""
        screening = session.get_one(Screening, self._screening, populate_existing=True)
        jobs, profiles, asked, basis = screening.jobs, screening.profiles, asked_of(screening), screening.basis
        total = size(session, profiles)
        if total > MOST_PROFILES:
            raise ValueError(f"{profiles} has grown to {total} profiles, and a screening takes {MOST_PROFILES}")
        found = [one.as_json() for one in columns(session, profiles)]
        session.rollback()
        words = self._vocabulary(session, jobs, profiles, asked)
        told = words.as_json()
        now = blake2b(json.dumps([told, screening.asked], sort_keys=True).encode(), digest_size=16).hexdigest()
        if now != basis:  # ranked by other answers than these: by fewer embeddings, or before a tag was there
            mine = ScreeningResult.screening_id == self._screening
            session.execute(update(ScreeningResult).where(mine).values(version=-1))
        self._tell(session, vocabulary=told, basis=now, columns=found, version=version, total=total)
        self._batches(session, words, asked, self._left(session, profiles), total)
        return words.is_whole

    def _vocabulary(self, session: Session, jobs: str, profiles: str, asked: Sequence[Asked]) -> Vocabulary:
        words = vocabulary(session, self._semantic, jobs, profiles, asked, self._aliases)
        if words.is_whole:
            return words
        until = time.monotonic() + MODEL_WAIT_S
        while not self._semantic.ready(0):
            time.sleep(WAIT_STEP_S)
            self._tell(session)
            if time.monotonic() > until or self._semantic.state in ("off", "unavailable"):
                return words
        return vocabulary(session, self._semantic, jobs, profiles, asked, self._aliases)

    def _left(self, session: Session, profiles: str) -> array[int]:
        """Return the profiles that have no result, or one of another version of theirs."""
        result = ScreeningResult
        mine = and_(result.document_id == Document.id, result.screening_id == self._screening)
        rows = select(Document.id).outerjoin(result, mine)
        rows = rows.where(
            Document.collection_id == number("collection", profiles),
            or_(result.document_id.is_(None), result.version != Document.version),
        )
        # Sorted here: asked for in order, SQLite would read every document there is.
        left = array("q", sorted(session.execute(rows.limit(MOST_PROFILES)).scalars()))
        session.rollback()
        return left

    def _batches(
        self, session: Session, words: Vocabulary, asked: Sequence[Asked], left: array[int], total: int
    ) -> None:
        before = total - len(left)
        self._tell(session, done=max(before, 0))
        for start in range(0, len(left), BATCH):
            self._sure(session, words, asked, left[start : start + BATCH], max(before + start + BATCH, 0), total)

    def _sure(
        self, session: Session, words: Vocabulary, asked: Sequence[Asked], numbers: array[int], done: int, total: int
    ) -> None:
        """Rank a batch, once more where the database was busy or a profile was deleted between reading and writing."""
        for pause_s in (*PAUSES_S, None):
            try:
                self._batch(session, words, asked, numbers)
                self._tell(session, done=min(done, total))
            except (OperationalError, IntegrityError):
                session.rollback()
                if pause_s is None:
                    raise
                time.sleep(pause_s)
            else:
                return

    def _batch(self, session: Session, words: Vocabulary, asked: Sequence[Asked], numbers: array[int]) -> None:
        # The version first: what is written between the two is ranked anew, and never taken for ranked.
        rows = session.execute(select(Document.id, Document.version).where(among(Document.id, numbers)))
        versions = {row.id: row.version for row in rows}
        matches = {one: words.matches(tags) for one, tags in tags_by_profile(session, list(versions)).items()}
        none = {"screening_id": self._screening, "status": "new", "note": ""}
        ranked = [
            {**none, "document_id": one, "version": version, "score": score_of(asked, matches.get(one, {}))}
            for one, version in versions.items()
        ]
        table: Table = ScreeningResult.__table__  # type: ignore[assignment]
        upsert(session, table, ranked, replace=("version", "score"))

    def _tell(self, session: Session, **values: object) -> None:
        """Write and commit what is true of the run, all written before included; raises Stopped where it is over."""
        mine = Screening.id == self._screening, Screening.claim == self._claim, Screening.state == "running"
        changed = session.execute(update(Screening).where(*mine).values(updated_at=int(time.time()), **values))
        if not changed.rowcount:  # type: ignore[attr-defined]
            session.rollback()
            raise Stopped
        session.commit()


def _version(session: Session) -> int:
    version = caught_up(session)
    session.rollback()
    return version


class Screener:
    """The thread of a process that runs screenings, one at a time; it is there only while there is something to run.

    One that is not on leaves them to another process.
    """

    def __init__(
        self,
        sessions: Sessions,
        semantic: Semantic,
        aliases: Callable[[], Aliases],
        is_on: bool = True,
    ) -> None:
        self._sessions, self.semantic, self._aliases, self._is_on = sessions, semantic, aliases, is_on
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._until, self._is_woken, self._told = 0.0, False, ""

    def wake(self, patience_s: float = 0.0) -> threading.Thread:
        """See to it that what waits is run, and what was cut off; for so long also what another may have let go of."""
        with self._lock:
            self._until, self._is_woken = max(self._until, time.monotonic() + patience_s), True
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="screenings", daemon=True)
                self._thread.start()
            return self._thread

    def _work(self) -> None:
        while True:
            with self._lock:
                self._is_woken = False
            is_open = self._looked()
            with self._lock:
                if not self._is_woken and (not is_open or time.monotonic() > self._until):
                    self._thread = None
                    return
            if is_open:
                time.sleep(LOOK_EVERY_S)

    def _looked(self) -> bool:
        """Run what can be run, and return whether anything may still be open, here or in another process."""
        if not self._is_on:
            return False
        try:
            run_waiting(self._sessions, self.semantic, self._aliases)
            return is_any_open(self._sessions)
        except SQLAlchemyError as error:
            if self._told != str(error):
                log.warning("Screenings wait for the database: %s", str(error)[:200])
            self._told = str(error)
            return True
