"""Counts documents with a current embedding, rarely if counting is slow."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import Document, Embedding, State
from utils.lru import LRUCache

# A platform polls /health every few seconds, and counting 100,000 documents takes 0.1 s.
LONG_S = 0.2
MANY = 100_000  # a slow count of fewer means that the host was busy
PAUSES = 60  # after a slow count, wait this many times as long as it took
QUERY_CANCELED = "57014"  # statement_timeout: too many to count within a request


@dataclass(frozen=True, slots=True)
class _Count:
    """A count at one data version, when it was made, and how long it stays valid regardless of changes."""

    value: int
    version: int
    made_at: float
    rests_s: float

    def holds(self, version: int, now: float) -> bool:
        return version == self.version or now - self.made_at < self.rests_s


_COUNTS: LRUCache[_Count] = LRUCache(4)


def embedded_count(session: Session, model: int | None) -> int:
    """Return the number of documents with a current embedding; may lag where there are millions."""
    if model is None:
        return 0
    key = (str(session.get_bind().engine.url), model)
    version, last = session.execute(select(State.version)).scalar_one(), _COUNTS.get(key)
    if last is None or not last.holds(version, time.monotonic()):
        last = _COUNTS.set(key, _counted(session, model, version, last.value if last else 0))
    return last.value


def _counted(session: Session, model: int, version: int, before: int) -> _Count:
    started, is_cut = time.monotonic(), False
    try:
        value = _embedded_now(session, model)
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != QUERY_CANCELED:
            raise
        session.rollback()
        value, is_cut = before, True
    took_s = time.monotonic() - started
    rests_s = took_s * PAUSES if is_cut or (took_s > LONG_S and value >= MANY) else 0.0
    return _Count(value, version, started, rests_s)


def _embedded_now(session: Session, model: int) -> int:
    rows = select(func.count()).select_from(Embedding).join(Document, Document.id == Embedding.document_id)
    return session.execute(
        rows.where(
            Embedding.model_id == model,
            Embedding.window == 0,
            Embedding.content_hash == Document.content_hash,
        )
    ).scalar_one()
