"""How many documents have an embedding of their present text: counted seldom where counting takes long."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import Document, Embedding, State
from utils.lru import Kept

# A platform asks for /health every few seconds, and counting 100,000 documents takes a tenth of one.
LONG_S = 0.2
MANY = 100_000  # fewer take long only where the host was busy just then
PAUSES = 60  # as many times as long as the last long count took, before the next
QUERY_CANCELED = "57014"  # by statement_timeout: there are more than can be counted for a request


@dataclass(frozen=True, slots=True)
class _Count:
    """A count of one version, when it was made, and for how long another is not worth its time."""

    value: int
    version: int
    made_at: float
    rests_s: float

    def holds(self, version: int, now: float) -> bool:
        return version == self.version or now - self.made_at < self.rests_s


_COUNTS: Kept[_Count] = Kept(4)


def embedded_count(session: Session, model: int | None) -> int:
    """Return how many documents have an embedding of their present text; somewhat late where there are millions."""
    if model is None:
        return 0
    key = (str(session.get_bind().engine.url), model)
    version, last = session.execute(select(State.version)).scalar_one(), _COUNTS.recall(key)
    if last is None or not last.holds(version, time.monotonic()):
        last = _COUNTS.keep(key, _counted(session, model, version, last.value if last else 0))
    return last.value


def _counted(session: Session, model: int, version: int, before: int) -> _Count:
    began, is_cut = time.monotonic(), False
    try:
        value = _embedded_now(session, model)
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != QUERY_CANCELED:
            raise
        session.rollback()
        value, is_cut = before, True
    took_s = time.monotonic() - began
    return _Count(value, version, began, took_s * PAUSES if is_cut or (took_s > LONG_S and value >= MANY) else 0.0)


def _embedded_now(session: Session, model: int) -> int:
    rows = select(func.count()).select_from(Embedding).join(Document, Document.id == Embedding.document_id)
    return session.execute(
        rows.where(
            Embedding.model_id == model,
            Embedding.window == 0,
            Embedding.content_hash == Document.content_hash,
        )
    ).scalar_one()
