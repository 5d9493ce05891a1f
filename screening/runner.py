"""Running screenings behind the pages: by whichever process claims one; cut off, they go on where they were.

What is left to do is what the tables say: profiles without a result, or written since theirs was made. So a start,
going on, and ranking again what changed are one and the same.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b

from sqlalchemy import Table, and_, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from encoders.footprint import release_memory
from indexes.version import caught_up
from jobs.claims import Claim, Sessions, Stopped, claim_next, is_any_open
from matching.aliases import Aliases
from matching.collection_state import size
from matching.jobs import Asked
from models import Document, Screening, ScreeningResult, number
from screening.columns import columns
from screening.store import MOST_PROFILES, asked_of
from screening.vocabulary import Vocabulary, score_of, tags_by_profile, vocabulary
from search.semantic import Semantic
from utils.sql import among, upsert

BATCH = 500  # profiles a transaction: some 30 ms of work, and as much may be done twice after a cut
MOST_PASSES = 4  # over what is written while a screening runs; what comes later is told on the page
PAUSES_S = (0.5, 2.0, 5.0)  # before a batch is tried again that found the database busy, or a profile just deleted
MODEL_WAIT_S, WAIT_STEP_S = 20.0, 0.5  # for a model that skills of the job need

log = logging.getLogger("matmon.matching")


class ScreeningJobs:
    """Runs screenings that wait or were cut off, the oldest first."""

    def __init__(self, sessions: Sessions, semantic: Semantic, skill_aliases: Callable[[], Aliases]) -> None:
        self._sessions, self.semantic, self._aliases = sessions, semantic, skill_aliases

    def run_next(self, stop: threading.Event) -> bool:
        claim = claim_next(self._sessions, Screening, stop, "waiting")
        if claim is None:
            return False
        Run(self._sessions, self.semantic, self._aliases(), claim).run()
        return True

    def is_open(self) -> bool:
        return is_any_open(self._sessions, Screening, "waiting")


class Run:
    """One run of one screening, with a session of its own; it ends when its claim is lost."""

    def __init__(self, sessions: Sessions, semantic: Semantic, skill_aliases: Aliases, claim: Claim) -> None:
        self._sessions, self._semantic, self._aliases = sessions, semantic, skill_aliases
        self._screening, self._claim = claim.id, claim

    def run(self) -> None:
        """Rank, and tell the table how it ended; what goes wrong is there too, and in the log."""
        try:
            with self._sessions() as session:
                self._rank(session)
        except Stopped as stopped:
            log.info("A screening stopped: %s", stopped)
            self._claim.requeue("waiting")
        except (SQLAlchemyError, ValueError, ArithmeticError, LookupError, OSError, RuntimeError) as error:
            log.exception("A screening failed")
            self._fail(f"{type(error).__name__}: {str(error)[:300]}")
        finally:
            release_memory()

    def _fail(self, message: str) -> None:
        try:
            with self._sessions() as session:
                self._report(session, state="failed", message=message)
        except (Stopped, SQLAlchemyError):
            log.warning("A failed screening could not be told so; it is taken up again when its time is over")

    def _rank(self, session: Session) -> None:
        """Rank until nothing was written meanwhile, MOST_PASSES times at most."""
        for _ in range(MOST_PASSES):
            version = _version(session)
            is_whole = self._pass(session, version)
            if _version(session) == version:
                break
        self._report(session, state="done", message="" if is_whole else "model")

    def _pass(self, session: Session, version: int) -> bool:
        """Rank what has no result as it is now, and return whether all skills could be compared."""
        screening = session.get(Screening, self._screening, populate_existing=True)
        if screening is None:
            raise Stopped("deleted")
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
        self._report(session, vocabulary=told, basis=now, columns=found, version=version, total=total)
        self._batches(session, words, asked, self._left(session, profiles), total)
        return words.is_whole

    def _vocabulary(self, session: Session, jobs: str, profiles: str, asked: Sequence[Asked]) -> Vocabulary:
        words = vocabulary(session, self._semantic, jobs, profiles, asked, self._aliases)
        if words.is_whole:
            return words
        until = time.monotonic() + MODEL_WAIT_S
        while not self._semantic.ready(0):
            time.sleep(WAIT_STEP_S)
            self._report(session)
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
        self._report(session, done=max(before, 0))
        for start in range(0, len(left), BATCH):
            self._sure(session, words, asked, left[start : start + BATCH], max(before + start + BATCH, 0), total)

    def _sure(
        self, session: Session, words: Vocabulary, asked: Sequence[Asked], numbers: array[int], done: int, total: int
    ) -> None:
        """Rank a batch, once more where the database was busy or a profile was deleted between reading and writing."""
        for pause_s in (*PAUSES_S, None):
            try:
                self._batch(session, words, asked, numbers)
                self._report(session, done=min(done, total))
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

    def _report(self, session: Session, **values: object) -> None:
        self._claim.report(session, **values)


def _version(session: Session) -> int:
    version = caught_up(session)
    session.rollback()
    return version
