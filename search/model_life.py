"""The model that this process searches with, through its life: loaded when wished for, followed, let go of."""

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
from search.current_model import FOREIGN, Chosen, Prepared
from search.embeddings import Stored

MOST_BETWEEN_LOOKS_S = 30.0
BETWEEN_LOOKS_AT_FOLDER_S = 10.0
MOST_WAITING = 2
log = logging.getLogger("matmon.search")


class ModelLife:
    """A model and what belongs to it in memory.

    `model_key` is the key of the model's embeddings in the database, known without loading it; None where semantic
    search is off or the model is not there. `find` returns a model by name: with it the database's choice is followed.
    """

    def __init__(
        self,
        encoder: LazyEncoder,
        model_key: int | None,
        idle_s: float,
        find: Callable[[str], Prepared] | None,
        manifest: Manifest | None,
        vector_index: VectorIndex | None,
    ) -> None:
        self.vector_index = vector_index or VectorIndex()
        self.lazy, self.model_key, self._manifest = encoder, model_key, manifest
        self.default_model = encoder.model
        self._idle_s, self.find = idle_s, find
        self.after_idle: Callable[[], None] = lambda: None  # what else is let go of when nobody searches
        self._refused: str | None = None
        self._looked_at: tuple[int | None, str] | None = None
        self._looked_s = 0.0
        self._watch: threading.Thread | None = None
        # Four threads serve the site: were they all to wait for the model, nothing else would be answered.
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._stored: Stored | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """Return `ready`, `loading`, `off` or `unavailable`; a model that nobody asked for yet is `loading`."""
        return "loading" if self.lazy.state == "idle" else self.lazy.state

    @property
    def is_off(self) -> bool:
        return self.lazy.state == "off"

    def ready(self, wait_s: float) -> bool:
        """Begin to load if nobody did, wait so long at most, and return whether meaning can be searched.

        Of those who ask while it loads, MOST_WAITING wait; the others are told at once.
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
        """Begin to look now and then whether the model is used; here, since a thread does not survive a fork."""
        with self._lock:
            if self._idle_s <= 0 or self._watch is not None:
                return
            watch = threading.Thread(target=self._unload_when_idle, name="idle-model", daemon=True)
            with suppress(RuntimeError):  # no room for a thread now: the next search begins it
                watch.start()
                self._watch = watch

    def _unload_when_idle(self) -> None:
        while True:
            time.sleep(min(self._idle_s / 4, MOST_BETWEEN_LOOKS_S))
            if self.lazy.unload_if_idle(self._idle_s):
                self._stored = None  # the index: 120 bytes a window, read again in a third of a second for 64,000
                self.after_idle()

    def follow(self, session: Session) -> Snapshot:
        """Use the model that the database was switched to, if it was, and return the state it was read with.

        A folder whose files are not those that made the stored embeddings is not searched with: its vectors mean
        something else. The reason, and what mends it, is then the error that pages and the status show.
        """
        snapshot = read_snapshot(session, self._stored_name, self.model_key)
        if self.is_off or self.find is None:
            return snapshot
        chosen = Chosen.of(snapshot)
        suits = self._suits(chosen)
        if suits and not self._refused:
            return snapshot
        with self._lock:
            looked = (chosen.key, self.lazy.model)
            just = looked == self._looked_at and time.monotonic() - self._looked_s < BETWEEN_LOOKS_AT_FOLDER_S
            if just and not suits:
                return snapshot
            self._take_up(session, self.find(chosen.name or self.default_model))
            self._looked_at, self._looked_s = (chosen.key, self.lazy.model), time.monotonic()
        if self._refused:
            self.lazy.give_back(self._refused, float("inf"))
        return snapshot

    def note(self, away: Exception) -> None:
        """Keep why the model could not be asked, for the status, and say it in the log, once."""
        if not isinstance(away, EncoderBusy) and self.lazy.error != str(away):
            log.warning("Only words are searched: %s", away)
            self.lazy.error = str(away)

    @property
    def _stored_name(self) -> str:
        return self._manifest.name if self._manifest else self.lazy.model

    def _suits(self, chosen: Chosen) -> bool:
        """Tell whether what is held is what the database names; where it names none, what the setting names."""
        if chosen.key is not None:
            return chosen.key == self.model_key
        return self.lazy.model == self.default_model and (chosen.is_mine or self.model_key is None)

    def _take_up(self, session: Session, found: Prepared) -> None:
        self.lazy.switch(found.load, found.name)
        self.model_key, self._manifest, self._stored = found.key, found.manifest, None
        chosen = Chosen.of(read_snapshot(session, self._stored_name, found.key))
        self._refused = None if found.key is None or self._suits(chosen) else FOREIGN.format(name=found.name)

    def unload(self, reason: str, for_s: float) -> None:
        """Let go of the model and the index, and search words only for so long."""
        self._stored = None
        self.lazy.give_back(reason, for_s)

    @property
    def manifest(self) -> Manifest | None:
        """Return the manifest of the model that stored embeddings are searched with; None where it is not known."""
        return self._manifest

    @property
    def serving(self) -> Serving:
        """Return which index of embeddings serves, and why, as of the last search by meaning."""
        return self._stored.choice.serving if self._stored else Serving(self.vector_index.wanted)

    @property
    def compares_stored(self) -> bool:
        """Tell whether stored embeddings can be compared with one another now, the model loaded or not."""
        return self._known() is not None

    def held_bytes(self) -> dict[str, int]:
        """Return the bytes of each part in memory."""
        return self._stored.held_bytes() if self._stored else {}

    def held_rows(self) -> dict[str, int]:
        return self._stored.held_rows() if self._stored else {}

    def _current(self) -> Stored | None:
        if self.lazy.encoder is None:
            return None
        self.lazy.used()
        return self._known()

    def _known(self) -> Stored | None:
        """Return what belongs to the model; None where there is none, or it may not be searched with now."""
        encoder = self.lazy.encoder
        manifest = encoder.manifest if encoder else self._manifest
        if manifest is None or self.lazy.state in ("off", "unavailable"):
            return None
        with self._lock:
            key = model_number(manifest.name, manifest.checksum)
            if self._stored is None or self._stored.model != key:
                self._stored = Stored(manifest, self.vector_index)
                self.model_key, self._manifest = key, manifest  # the folder may have been made anew since the start
            return self._stored
