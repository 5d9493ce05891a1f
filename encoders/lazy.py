"""An encoder that is in memory only while it is needed."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from typing import Literal

from encoders.base import Encoder
from encoders.footprint import release_memory, rss_bytes

State = Literal["off", "idle", "loading", "ready", "unavailable"]

log = logging.getLogger("matmon.encoders")

# How a model is written in the log, where that differs from its folder.
SPELLINGS = {"alephbert": "AlephBERT"}


class LazyEncoder:
    """Holds one encoder; loads it in the background when asked to, and lets it go when unused.

    load=None is a site without semantic search: the state stays "off". Every method may be called from any
    thread and none but wait() blocks. Whoever took .encoder keeps it working through an unload; where it is given
    back, for want of memory, what is not yet encoded is refused.
    """

    def __init__(
        self,
        load: Callable[[], Encoder] | None,
        name: str,
        retry_after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = name
        self.error: str | None = None
        self.loaded_s: float | None = None
        self.loaded_mb: float | None = None
        self._load = load
        self._retry_after_s = retry_after_s
        self._clock = clock
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._state: State = "idle" if load else "off"
        self._encoder: Encoder | None = None
        self._retry_at = 0.0
        self._rests = False
        self._used_at = 0.0

    @property
    def state(self) -> State:
        """Say where the encoder is; "unavailable" means that the last attempt to load it failed, or that it rests."""
        if self._state == "unavailable" and self._rests and self._clock() >= self._retry_at:
            return "idle"  # it has rested: nothing is wrong any more
        return self._state

    @property
    def condition(self) -> State:
        """Say what an operator should see: the state, but "unavailable" too where the last text found no model."""
        return "unavailable" if self._state == "ready" and self.error else self.state

    @property
    def encoder(self) -> Encoder | None:
        """The encoder if it is ready; asking starts nothing."""
        return self._encoder

    def start(self) -> None:
        """Begin to load and return at once; however many ask at the same time, it is loaded once.

        After a failure nothing happens before retry_after_s are over.
        """
        with self._lock:
            if self._load is None or not self._may_start():
                return
            self._state, self._rests = "loading", False
            self._settled.clear()
            run = threading.Thread(target=self._run, args=(self._load,), name=f"load-{self.model}", daemon=True)
        # The interpreter must not end while a library loads in a thread: it would be aborted.
        atexit.register(self.wait, 10.0)
        try:
            run.start()
        except RuntimeError as error:  # no room for a thread: else it would be loading for ever
            atexit.unregister(self.wait)
            self._fail(error)

    def wait(self, timeout_s: float) -> bool:
        """Wait while it is loading, timeout_s at most, and return whether it is ready."""
        if self._state == "loading":
            self._settled.wait(timeout_s)
        return self._state == "ready"

    def used(self) -> None:
        """Note that the encoder was used now."""
        self._used_at = self._clock()

    @property
    def unused_s(self) -> float | None:
        """The seconds since the encoder was last used; None where none is ready."""
        return self._clock() - self._used_at if self._state == "ready" else None

    def unload_if_idle(self, idle_s: float) -> bool:
        """Unload if unused for idle_s, and return whether it was; 0 or less never unloads."""
        if idle_s <= 0 or self._clock() - self._used_at < idle_s:
            return False
        return self.unload()

    def unload(self) -> bool:
        """Let go of the encoder and return whether there was one; one that is still loading is left alone."""
        with self._lock:
            if self._state != "ready":
                return False
            self._encoder = None
            self._state = "idle"
        self._release(self._spelling)
        return True

    def give_back(self, reason: str, for_s: float) -> bool:
        """Let go of the encoder after its current text, and load none for so long; return whether there was one.

        The reason is shown and told to those who wait. One that is loading is let go of as soon as it is loaded.
        """
        with self._lock:
            if self._state == "off":
                return False
            self.error, self._retry_at, self._rests = reason, self._clock() + for_s, True
            if self._state == "loading":
                return False
            encoder, self._encoder = self._encoder, None
            self._state = "unavailable"
        if encoder is None:
            return False
        encoder.close(reason)
        del encoder
        self._release(self._spelling)
        return True

    def switch(self, load: Callable[[], Encoder], name: str) -> None:
        """Hold another model from now on: the present one is let go of, and the other loaded when it is asked for."""
        with self._lock:
            was_held, spelling = self._encoder is not None, self._spelling
            self._load, self.model = load, name
            self._encoder, self.error, self.loaded_s, self.loaded_mb = None, None, None, None
            self._state, self._rests = "idle", False
            self._settled.set()
        if was_held:
            self._release(spelling)

    def _release(self, spelling: str) -> None:
        release_memory()
        log.info("Unloaded %s model, %.0f MB resident", spelling, rss_bytes() / 2**20)

    @property
    def _spelling(self) -> str:
        return SPELLINGS.get(self.model, self.model)

    def _may_start(self) -> bool:
        if self._state == "unavailable":
            return self._clock() >= self._retry_at
        return self._state == "idle"

    def _run(self, load: Callable[[], Encoder]) -> None:
        log.info("Loading %s model", self._spelling)
        before, began = rss_bytes(), time.monotonic()
        try:
            encoder = load()
        except Exception as error:  # a missing library, a damaged file: search goes on without
            if self._load is load:
                self._fail(error)
        else:
            figures = time.monotonic() - began, (rss_bytes() - before) / 2**20
            if self._load is not load or not self._become_ready(encoder, *figures):
                del encoder  # it was switched to another meanwhile, or memory is short
                release_memory()
        finally:
            atexit.unregister(self.wait)

    def _become_ready(self, encoder: Encoder, loaded_s: float, loaded_mb: float) -> bool:
        """Serve with it, and return True; unless it was given back while it was loading."""
        log.info("Loaded %s model in %.1f s, %.0f MB", self._spelling, loaded_s, loaded_mb)
        with self._lock:
            self.loaded_s, self.loaded_mb = loaded_s, loaded_mb
            if self._rests:
                self._state = "unavailable"
            else:
                self._encoder, self.error = encoder, None
                self._used_at = self._clock()
                self._state = "ready"
            is_ready = not self._rests
        self._settled.set()
        return is_ready

    def _fail(self, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        log.error("Loading %s model failed: %s", self._spelling, reason)
        with self._lock:
            self.error = reason
            self._retry_at = self._clock() + self._retry_after_s
            self._state, self._rests = "unavailable", False
        self._settled.set()
