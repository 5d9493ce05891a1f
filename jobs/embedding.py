"""The embed job: a single row, queued by each write, so that new documents are embedded soon after."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.queue import EncoderUnavailable
from indexes.embedding_space import EmbeddingSpace
from indexes.packing import needs_packing, pack_embeddings
from indexes.version import caught_up
from indexing.embedding import Progress, embed, needs_embedding
from jobs.claims import Queue, Sessions, Stopped
from models import KEPT_CHANGES, Job
from search.semantic import Semantic
from utils.sql import upsert

EMBED_JOB = 0  # the id of the one embed job
DEBOUNCE_S = 2  # without a write before it runs, so that a burst of writes is one job
log = logging.getLogger("matmon.jobs")


def queue_embedding(session: Session) -> None:
    """Queue the embed job and commit; a running one stops after its batch and starts again, so nothing is missed."""
    row = {
        "id": EMBED_JOB, "kind": "embed", "name": "", "options": {}, "state": "queued", "claim": 0, "done": 0,
        "total": 0, "report": {}, "updated_at": int(time.time()),
    }  # fmt: skip
    upsert(session, Job.__table__, [row], replace=("state", "claim", "updated_at"))  # type: ignore[arg-type]
    session.commit()


class EmbedJobs:
    """Embeds everything without an embedding.

    `encoder` returns None without a model, and raises EncoderUnavailable while the model is unavailable.
    """

    def __init__(self, sessions: Sessions, encoder: Callable[[], Encoder | None]) -> None:
        self._sessions, self._encoder = sessions, encoder
        self._queue = Queue(sessions, Job, conditions=(Job.kind == "embed",))
        self.is_open = self._queue.is_open

    def run_next(self, stop: threading.Event) -> bool:
        claim = self._queue.claim_next(stop, Job.updated_at <= int(time.time()) - DEBOUNCE_S)
        if claim is None:
            return False
        try:
            encoder = self._encoder()
            progress = Progress()
            if encoder is not None:
                with self._sessions() as session:
                    progress = embed(
                        session, encoder, stop=stop,
                        on_progress=lambda now: claim.report_sometimes(done=now.done, total=now.total),
                    )  # fmt: skip
            claim.finish(done=progress.done, total=progress.total)
        except Stopped as stopped:
            log.info("Embedding stopped: %s", stopped)
            claim.requeue("queued")
        except EncoderUnavailable:
            claim.requeue("queued")
            raise
        return True


class MissingEmbeddings:
    """Embeds everything without an embedding, for a worker: no process notifies it of writes."""

    def __init__(self, sessions: Sessions, semantic: Semantic, encoder: Callable[[], Encoder | None]) -> None:
        self._sessions, self._semantic, self._encoder = sessions, semantic, encoder
        self._complete_at: tuple[int, int] | None = None  # version and model of a state with all embeddings

    def run_next(self, stop: threading.Event) -> bool:
        with self._sessions() as session:
            if self._is_complete(session):
                return False
            encoder = self._encoder()
            if encoder is None:
                return False
            progress = embed(session, encoder, stop=stop)
            log.info("%s of %s embedded with %s", progress.done, progress.total, encoder.name)
            return progress.done > 0

    def is_open(self) -> bool:
        return False

    def _is_complete(self, session: Session) -> bool:
        """Tell whether no document or tag needs an embedding; only what was written since the last time is checked."""
        self._semantic.model.follow(session)
        model, version = self._semantic.model.key, caught_up(session)
        is_complete = model is None or (version, model) == self._complete_at
        if not is_complete and model is not None:
            is_complete = not needs_embedding(session, model, self._since(model, version))
            if is_complete:
                self._complete_at = version, model
        session.rollback()
        return is_complete

    def _since(self, model: int, version: int) -> int:
        """Return the version after which documents may need an embedding; -1 to check all of them."""
        if self._complete_at is None or self._complete_at[1] != model:
            return -1
        is_restored = version - self._complete_at[0] > KEPT_CHANGES  # documents keep the versions of the backup
        return -1 if is_restored else self._complete_at[0]


class PackJobs:
    """Packs embeddings that are stored already: after an upgrade, or when the model or its means changed."""

    def __init__(self, sessions: Sessions, semantic: Semantic) -> None:
        self._sessions, self._semantic = sessions, semantic
        self._packed_at: tuple[int, int | None] | None = None  # version and model of a state in which nothing was due

    def run_next(self, stop: threading.Event) -> bool:
        with self._sessions() as session:
            space = self._due(session)
            if space is None:
                return False
            log.info("The stored embeddings are being packed; until that is done their index is read row by row")
            count = pack_embeddings(session, space, stop)
            log.info("The embeddings of %s documents were packed", count)
            return count > 0

    def is_open(self) -> bool:
        with self._sessions() as session:
            return self._due(session) is not None

    def _due(self, session: Session) -> EmbeddingSpace | None:
        """Return the space of the current model if its embeddings are to be packed."""
        state = self._semantic.model.follow(session).version, self._semantic.model.key
        manifest = self._semantic.model.manifest
        if manifest is None or state == self._packed_at:
            return None
        space = EmbeddingSpace.of(manifest)
        if needs_packing(session, space):
            return space
        self._packed_at = state
        return None
