"""The model of this process: loaded on demand, switched when the database says so, unloaded when idle."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.orm import Session

from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest
from encoders.queue import EncoderBusy
from indexes.choice import Serving, VectorIndex
from indexes.version import Snapshot, read_snapshot
from models import model_number
from search.current_model import FOREIGN, AvailableModel, StoredChoice
from search.embeddings import EmbeddingIndex

MOST_BETWEEN_LOOKS_S = 30.0
BETWEEN_LOOKS_AT_FOLDER_S = 10.0
MOST_WAITING = 2
log = logging.getLogger("matmon.search")


class ModelLife:
    """A model and its embedding index in memory.

    `model_key` is the key of the model's embeddings in the database, known without loading it; None if semantic search
    is off or the model is missing. With `find`, which returns a model by name, the database's choice is followed.
    """

    def __init__(
        self,
        encoder: LazyEncoder,
        model_key: int | None,
        idle_s: float,
        find: Callable[[str], AvailableModel] | None,
        manifest: Manifest | None,
        vector_index: VectorIndex | None,
    ) -> None:
        self.vector_index = vector_index or VectorIndex()
        self.lazy, self.model_key, self._manifest = encoder, model_key, manifest
        self.default_model = encoder.model
        self._idle_s, self.find = idle_s, find
        self.after_idle: Callable[[], None] = lambda: None  # frees more memory once the model is unloaded
        self._refused: str | None = None
        self._looked_at: tuple[int | None, str] | None = None
        self._looked_s = 0.0
        self._watch: threading.Thread | None = None
        # The site has four threads: if all waited for the model, nothing else would be answered.
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._stored: EmbeddingIndex | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """Return `ready`, `loading`, `off` or `unavailable`; a model not requested yet is `loading`."""
        return "loading" if self.lazy.state == "idle" else self.lazy.state

    @property
    def is_off(self) -> bool:
        return self.lazy.state == "off"

    def ready(self, wait_s: float) -> bool:
        """Start loading if needed, wait at most `wait_s`, and return whether the model is ready.

        At most MOST_WAITING threads wait; the others return at once.
        """
        self.lazy.start()
        self.watch_idleness()
        if wait_s <= 0 or not self._waiting.acquire(blocking=False):
            return self.lazy.state == "ready"
        try:
            return self.lazy.wait(wait_s)
        finally:
            self._waiting.release()

    def watch_idleness(self) -> None:
        """Start the idle watch, once per process: threads do not survive a fork."""
        with self._lock:
            if self._idle_s <= 0 or self._watch is not None:
                return
            watch = threading.Thread(target=self._unload_when_idle, name="idle-model", daemon=True)
            with suppress(RuntimeError):  # no memory for a thread now: the next search tries again
                watch.start()
                self._watch = watch

    def _unload_when_idle(self) -> None:
        while True:
            time.sleep(min(self._idle_s / 4, MOST_BETWEEN_LOOKS_S))
            if self.lazy.unload_if_idle(self._idle_s):
                self._stored = None  # the index: 120 bytes a chunk, reloaded in a third of a second for 64,000
                self.after_idle()

    def follow(self, session: Session) -> Snapshot:
        """Switch to the model that the database names, if it changed, and return the snapshot.

        A folder that did not make the stored embeddings is refused, since its vectors are not comparable. The error
        that pages and the status show then names the reason and the fix.
        """
        snapshot = read_snapshot(session, self._stored_name, self.model_key)
        if self.is_off or self.find is None:
            return snapshot
        chosen = StoredChoice.of(snapshot)
        suits = self._suits(chosen)
        if suits and not self._refused:
            return snapshot
        with self._lock:
            seen = (chosen.key, self.lazy.model)
            just = seen == self._looked_at and time.monotonic() - self._looked_s < BETWEEN_LOOKS_AT_FOLDER_S
            if just and not suits:
                return snapshot
            self._take_up(session, self.find(chosen.name or self.default_model))
            self._looked_at, self._looked_s = (chosen.key, self.lazy.model), time.monotonic()
        if self._refused:
            self.lazy.suspend(self._refused, float("inf"))
        return snapshot

    def note(self, error: Exception) -> None:
        """Record why the model failed, for the status, and log it once."""
        if not isinstance(error, EncoderBusy) and self.lazy.error != str(error):
            log.warning("Falling back to keyword search: %s", error)
            self.lazy.error = str(error)

    @property
    def _stored_name(self) -> str:
        return self._manifest.name if self._manifest else self.lazy.model

    def _suits(self, chosen: StoredChoice) -> bool:
        """Whether this model is the one the database names or, if it names none, the one in the settings."""
        if chosen.key is not None:
            return chosen.key == self.model_key
        return self.lazy.model == self.default_model and (chosen.is_mine or self.model_key is None)

    def _take_up(self, session: Session, model: AvailableModel) -> None:
        self.lazy.switch(model.load, model.name)
        self.model_key, self._manifest, self._stored = model.key, model.manifest, None
        chosen = StoredChoice.of(read_snapshot(session, self._stored_name, model.key))
        self._refused = None if model.key is None or self._suits(chosen) else FOREIGN.format(name=model.name)

    def unload(self, reason: str, for_s: float) -> None:
        """Unload the model and the index, and fall back to keyword search for `for_s` seconds."""
        self._stored = None
        self.lazy.suspend(reason, for_s)

    @property
    def manifest(self) -> Manifest | None:
        """Return the manifest of the model whose embeddings are searched; None if unknown."""
        return self._manifest

    @property
    def serving(self) -> Serving:
        """Return which embedding index the last semantic search used, and why."""
        return self._stored.choice.serving if self._stored else Serving(self.vector_index.wanted)

    @property
    def compares_stored(self) -> bool:
        """Whether stored embeddings can be compared with each other now; the model need not be loaded."""
        return self._known() is not None

    def held_bytes(self) -> dict[str, int]:
        """Return the bytes of each part in memory."""
        return self._stored.held_bytes() if self._stored else {}

    def held_rows(self) -> dict[str, int]:
        return self._stored.held_rows() if self._stored else {}

    def _current(self) -> EmbeddingIndex | None:
        if self.lazy.encoder is None:
            return None
        self.lazy.used()
        return self._known()

    def _known(self) -> EmbeddingIndex | None:
        """Return the model's embedding index; None if there is no model or it may not be used now."""
        encoder = self.lazy.encoder
        manifest = encoder.manifest if encoder else self._manifest
        if manifest is None or self.lazy.state in ("off", "unavailable"):
            return None
        with self._lock:
            key = model_number(manifest.name, manifest.checksum)
            if self._stored is None or self._stored.model != key:
                self._stored = EmbeddingIndex(manifest, self.vector_index)
                self.model_key, self._manifest = key, manifest  # the folder may have been rebuilt since the start
            return self._stored
