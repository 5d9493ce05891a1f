"""Runs screenings in the background, in whichever process claims them.

The tables say what is left to do: profiles without a result, or written after it. So starting, resuming and ranking
changed profiles again are the same operation.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b

from sqlalchemy import Table, and_, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from encoders.footprint import release_memory
from indexes.version import caught_up
from jobs.claims import Claim, Queue, Sessions, Stopped
from matching.aliases import Aliases
from matching.collection_state import collection_size
from matching.jobs import RequiredSkill
from models import Document, Screening, ScreeningResult, number
from screening.columns import columns
from screening.store import MOST_PROFILES, required_skills_of
from screening.vocabulary import ScreeningVocabulary, profile_scores, screening_vocabulary
from search.semantic import Semantic
from utils.database_faults import is_passing
from utils.sql import among, upsert

BATCH = 500  # profiles per transaction: about 30 ms of work, which may be repeated after an interruption
MOST_PASSES = 4  # over profiles written while a screening runs; later ones are reported on the page
PAUSES_S = (0.5, 2.0, 5.0)  # backoff when the database was busy or a profile was just deleted
MODEL_WAIT_S, WAIT_STEP_S = 20.0, 0.5  # wait for the model if skills of the job must be encoded

log = logging.getLogger("matmon.matching")


class ScreeningJobs:
    """Runs screenings that are waiting or were interrupted, the oldest first."""

    def __init__(self, sessions: Sessions, semantic: Semantic, skill_aliases: Callable[[], Aliases]) -> None:
        self._sessions, self.semantic, self._aliases = sessions, semantic, skill_aliases
        self._queue = Queue(sessions, Screening, "waiting")
        self.is_open = self._queue.is_open

    def run_next(self, stop: threading.Event) -> bool:
        claim = self._queue.claim_next(stop)
        if claim is None:
            return False
        Run(self._sessions, self.semantic, self._aliases(), claim).run()
        return True


class Run:
    """One run of one screening, in its own session; it ends when its claim is lost."""

    def __init__(self, sessions: Sessions, semantic: Semantic, skill_aliases: Aliases, claim: Claim) -> None:
        self._sessions, self._semantic, self._aliases = sessions, semantic, skill_aliases
        self._screening, self._claim = claim.id, claim

    def run(self) -> None:
        """Rank all profiles; the final state, or the error, is stored and logged.

        An error that passes by itself is raised, and the screening waits.
        """
        try:
            with self._sessions() as session:
                self._rank(session)
        except Stopped as stopped:
            log.info("A screening stopped: %s", stopped)
            self._claim.requeue("waiting")
        except (SQLAlchemyError, ValueError, ArithmeticError, LookupError, OSError, RuntimeError) as error:
            if is_passing(error):
                self._claim.requeue_later("waiting")
                raise
            if self._is_gone():
                log.info("A screening stopped: it was deleted")
            else:
                log.exception("A screening failed")
                self._fail(f"{type(error).__name__}: {str(error)[:300]}")
        finally:
            release_memory()

    def _is_gone(self) -> bool:
        with suppress(SQLAlchemyError), self._sessions() as session:
            return session.get(Screening, self._screening) is None
        return False

    def _fail(self, message: str) -> None:
        try:
            with self._sessions() as session:
                self._report(session, state="failed", message=message)
        except (Stopped, SQLAlchemyError):
            log.warning("Could not store that a screening failed; it is retried when its claim expires")

    def _rank(self, session: Session) -> None:
        """Rank until no document was written meanwhile, at most MOST_PASSES times."""
        for _ in range(MOST_PASSES):
            version = _version(session)
            is_whole = self._pass(session, version)
            if _version(session) == version:
                break
        self._report(session, state="done", message="" if is_whole else "model")

    def _pass(self, session: Session, version: int) -> bool:
        """Rank the profiles without a current result, and return whether all skills could be compared."""
        screening = session.get(Screening, self._screening, populate_existing=True)
        if screening is None:
            raise Stopped("deleted")
        jobs, profiles, required, basis = (
            screening.jobs,
            screening.profiles,
            required_skills_of(screening),
            screening.basis,
        )
        total = collection_size(session, profiles)
        if total > MOST_PROFILES:
            raise ValueError(
                f"{profiles} has grown to {total} profiles, more than the {MOST_PROFILES} of one screening"
            )
        columns_json = [column.as_json() for column in columns(session, profiles)]
        session.rollback()
        words = self._vocabulary(session, jobs, profiles, required)
        stored = words.as_json()
        now = blake2b(json.dumps([stored, screening.asked], sort_keys=True).encode(), digest_size=16).hexdigest()
        if now != basis:  # the matching tags changed: all results are stale
            mine = ScreeningResult.screening_id == self._screening
            session.execute(update(ScreeningResult).where(mine).values(version=-1))
        self._report(session, vocabulary=stored, basis=now, columns=columns_json, version=version, total=total)
        self._batches(session, words, required, self._left(session, profiles), total)
        return words.is_whole

    def _vocabulary(
        self, session: Session, jobs: str, profiles: str, required: Sequence[RequiredSkill]
    ) -> ScreeningVocabulary:
        words = screening_vocabulary(session, self._semantic, jobs, profiles, required, self._aliases)
        if words.is_whole:
            return words
        until = time.monotonic() + MODEL_WAIT_S
        while not self._semantic.lazy.load():
            time.sleep(WAIT_STEP_S)
            self._report(session)
            if time.monotonic() > until or self._semantic.state in ("off", "unavailable"):
                return words
        return screening_vocabulary(session, self._semantic, jobs, profiles, required, self._aliases)

    def _left(self, session: Session, profiles: str) -> array[int]:
        """Return the profiles without a result, or with one of another version."""
        result = ScreeningResult
        mine = and_(result.document_id == Document.id, result.screening_id == self._screening)
        rows = select(Document.id).outerjoin(result, mine)
        rows = rows.where(
            Document.collection_id == number("collection", profiles),
            or_(result.document_id.is_(None), result.version != Document.version),
        )
        # Sorted in Python: with ORDER BY, SQLite would read every document in the database.
        left = array("q", sorted(session.execute(rows.limit(MOST_PROFILES)).scalars()))
        session.rollback()
        return left

    def _batches(
        self,
        session: Session,
        words: ScreeningVocabulary,
        required: Sequence[RequiredSkill],
        left: array[int],
        total: int,
    ) -> None:
        before = total - len(left)
        self._report(session, done=max(before, 0))
        for start in range(0, len(left), BATCH):
            self._sure(session, words, required, left[start : start + BATCH], max(before + start + BATCH, 0), total)

    def _sure(
        self,
        session: Session,
        words: ScreeningVocabulary,
        required: Sequence[RequiredSkill],
        numbers: array[int],
        done: int,
        total: int,
    ) -> None:
        """Rank a batch; retry if the database was busy or a profile was deleted between reading and writing."""
        for pause_s in (*PAUSES_S, None):
            try:
                self._batch(session, words, required, numbers)
                self._report(session, done=min(done, total))
            except (OperationalError, IntegrityError):
                session.rollback()
                if pause_s is None or self._is_gone():
                    raise
                time.sleep(pause_s)
            else:
                return

    def _batch(
        self, session: Session, words: ScreeningVocabulary, required: Sequence[RequiredSkill], numbers: array[int]
    ) -> None:
        # Versions are read first, so that a document written in between is ranked again.
        rows = session.execute(select(Document.id, Document.version).where(among(Document.id, numbers)))
        versions = {row.id: row.version for row in rows}
        scores = profile_scores(session, list(versions), required, words)
        none = {"screening_id": self._screening, "status": "new", "note": "", "decided_by": "", "decided_at": 0}
        ranked = [
            {
                **none,
                "document_id": document,
                "version": version,
                "score": scores.get(document, 0.0),
            }
            for document, version in versions.items()
        ]
        table: Table = ScreeningResult.__table__  # type: ignore[assignment]
        upsert(session, table, ranked, replace=("version", "score"))

    def _report(self, session: Session, **values: object) -> None:
        self._claim.report(session, **values)


def _version(session: Session) -> int:
    version = caught_up(session)
    session.rollback()
    return version
