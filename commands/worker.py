"""flask worker: screenings and embeddings in a process of their own, so that the web host stays small."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

import click
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from commands.console import need_tables, semantic
from config import Settings
from encoders.base import Encoder
from encoders.queue import EncoderAway
from indexes.version import caught_up
from indexing.embedding import embed, is_owed
from matching.aliases import aliases
from models import KEPT_CHANGES, db
from screening.runner import run_waiting
from search.semantic import Semantic
from web.current import runtime

LOOK_EVERY_S = 1.0
PAUSE_S = 10.0  # after something went wrong: the database is away, or the model has no room
log = logging.getLogger("matmon.worker")


@click.command("worker")
def worker_command() -> None:
    """Rank screenings and make embeddings as they are wanted, until stopped; web hosts then have BACKGROUND=worker."""
    need_tables()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    runtime().guard.start()
    log.info("The worker looks for screenings and for what wants embeddings")
    Worker(current_app.extensions, semantic(), stop).run()
    log.info("The worker stopped")


class Worker:
    """What a worker does, round after round; a stop lets the batch that is under way end."""

    def __init__(self, parts: Mapping[str, Any], side: Semantic, stop: threading.Event) -> None:
        self._side, self._stop = side, stop
        self._settings: Settings = parts["matmon.settings"]
        self._encoder: Callable[[], Encoder | None] = parts["matmon.encoder"]
        engine = db.engine
        self._sessions = lambda: Session(engine)
        self._nothing_at: tuple[int, int] | None = None  # the version and model that wanted nothing

    def run(self) -> None:
        while not self._stop.is_set():
            self._stop.wait(LOOK_EVERY_S if self._round() else PAUSE_S)

    def _round(self) -> bool:
        """Do what there is to do, and return whether it went well."""
        try:
            known = aliases(self._settings.instance_dir / "skill-aliases.csv")
            run_waiting(self._sessions, self._side, lambda: known)
            self._embed()
        except (SQLAlchemyError, EncoderAway) as error:
            log.warning("The worker waits: %s", str(getattr(error, "orig", error)).strip()[:300])
            return False
        return True

    def _embed(self) -> None:
        """Embed what waits under the model that serves, if there is one and anything waits."""
        with self._sessions() as session:
            if not self._is_wanted(session):
                return
            encoder = self._encoder()
            if encoder is not None:
                done: Any = embed(session, encoder, stop=self._stop)
                log.info("%s of %s embedded under %s", done.done, done.total, encoder.name)

    def _is_wanted(self, session: Session) -> bool:
        """Tell whether anything waits; looked for only among what was written since nothing did."""
        self._side.follow(session)
        model, version = self._side.model_key, caught_up(session)
        if model is None or (version, model) == self._nothing_at:
            session.rollback()
            return False
        found = is_owed(session, model, self._since(model, version))
        session.rollback()
        if not found:
            self._nothing_at = version, model
        return found

    def _since(self, model: int, version: int) -> int:
        """Return the version from which on documents are looked at: from the first where others may be owed too."""
        if self._nothing_at is None or self._nothing_at[1] != model:
            return -1
        is_restored = version - self._nothing_at[0] > KEPT_CHANGES  # documents have the versions that they had before
        return -1 if is_restored else self._nothing_at[0]
