"""An encoder that is loaded on demand and unloaded when idle."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from encoders.base import Encoder
from encoders.footprint import release_memory, rss_bytes

State = Literal["off", "idle", "loading", "ready", "unavailable"]

log = logging.getLogger("matmon.encoders")

# The model's name in the log, if it differs from its folder.
SPELLINGS = {"alephbert": "AlephBERT"}
MOST_LOAD_WAITS = 2
MOST_IDLE_CHECK_S = 30.0


class LazyEncoder:
    """Holds one encoder; loads it in the background on request, and unloads it when idle.

    load=None is a site without semantic search: the state stays "off". Any thread may call any method; only wait()
    and load() block. The encoder is unloaded after idle_s seconds without use; 0 keeps it. A caller that took .encoder
    may finish after an unload, but not after `suspend`, which frees memory: texts not yet encoded are refused.
    """

    def __init__(
        self,
        load: Callable[[], Encoder] | None,
        name: str,
        retry_after_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        idle_s: float = 0,
    ) -> None:
        self.model = name
        self.after_idle: list[Callable[[], None]] = []  # called once the encoder was unloaded as idle
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
        self._idle_s = idle_s
        self._idle_watch: threading.Thread | None = None
        # The site has four threads: if all waited for the model, nothing else would be answered.
        self._waiting = threading.BoundedSemaphore(MOST_LOAD_WAITS)

    @property
    def state(self) -> State:
        """Return the state; "unavailable" means that the last attempt to load failed, or that loading is suspended."""
        if self._state == "unavailable" and self._rests and self._clock() >= self._retry_at:
            return "idle"  # the suspension is over
        return self._state

    @property
    def condition(self) -> State:
        """Return the state for operators: "unavailable" also if the last text could not be encoded."""
        return "unavailable" if self._state == "ready" and self.error else self.state

    @property
    def encoder(self) -> Encoder | None:
        """The encoder if it is ready; does not start loading."""
        return self._encoder

    def start(self) -> None:
        """Start loading in the background, once, and return at once.

        After a failure it does nothing for retry_after_s seconds.
        """
        with self._lock:
            self._watch_idleness()
            is_due = self._state == "idle" or (self._state == "unavailable" and self._clock() >= self._retry_at)
            if self._load is None or not is_due:
                return
            self._state, self._rests = "loading", False
            self._settled.clear()
            run = threading.Thread(target=self._run, args=(self._load,), name=f"load-{self.model}", daemon=True)
        # Exit waits for the load: the interpreter would abort if it ended while a library loads in a thread.
        atexit.register(self.wait, 10.0)
        try:
            run.start()
        except RuntimeError as error:  # no memory for a thread: the state must not stay at loading
            atexit.unregister(self.wait)
            self._fail(error)

    def wait(self, timeout_s: float) -> bool:
        """Wait while it is loading, at most timeout_s, and return whether it is ready."""
        if self._state == "loading":
            self._settled.wait(timeout_s)
        return self._state == "ready"

    def load(self, wait_s: float = 0) -> bool:
        """Start loading if needed, wait at most `wait_s`, and return whether the encoder is ready.

        At most MOST_LOAD_WAITS threads wait; the others return at once.
        """
        self.start()
        if wait_s <= 0 or not self._waiting.acquire(blocking=False):
            return self._state == "ready"
        try:
            return self.wait(wait_s)
        finally:
            self._waiting.release()

    def _watch_idleness(self) -> None:
        """Start the idle watch, once per process: threads do not survive a fork."""
        if self._idle_s > 0 and self._idle_watch is None:
            watch = threading.Thread(target=self._unload_when_idle, name="idle-model", daemon=True)
            with suppress(RuntimeError):  # no memory for a thread now: the next search tries again
                watch.start()
                self._idle_watch = watch

    def _unload_when_idle(self) -> None:
        while True:
            time.sleep(min(self._idle_s / 4, MOST_IDLE_CHECK_S))
            if self.unload_if_idle(self._idle_s):
                for call in self.after_idle:
                    call()

    def used(self) -> None:
        """Record that the encoder was used now."""
        self._used_at = self._clock()

    @property
    def unused_s(self) -> float | None:
        """Seconds since the encoder was last used; None if none is ready."""
        return self._clock() - self._used_at if self._state == "ready" else None

    def unload_if_idle(self, idle_s: float) -> bool:
        """Unload if unused for idle_s, and return whether it was unloaded; 0 or less never unloads."""
        return 0 < idle_s <= self._clock() - self._used_at and self.unload()

    def unload(self) -> bool:
        """Unload the encoder and return whether there was one; one that is still loading is left alone."""
        with self._lock:
            if self._state != "ready":
                return False
            self._encoder = None
            self._state = "idle"
        self._release(self._spelling)
        return True

    def suspend(self, reason: str, for_s: float) -> bool:
        """Unload the encoder after its current text, and load none for `for_s` seconds; return whether there was one.

        `reason` is shown, and passed to waiting callers. One that is loading is discarded once loaded.
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
        """Switch to another model: the present one is unloaded, and the other loaded on demand."""
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

    def _run(self, load: Callable[[], Encoder]) -> None:
        log.info("Loading %s model", self._spelling)
        before, began = rss_bytes(), time.monotonic()
        try:
            encoder = load()
        except Exception as error:  # a missing library, a damaged file: search works without the model
            if self._load is load:
                self._fail(error)
        else:
            figures = time.monotonic() - began, (rss_bytes() - before) / 2**20
            if self._load is not load or not self._become_ready(encoder, *figures):
                del encoder  # switched to another meanwhile, or memory is low
                release_memory()
        finally:
            atexit.unregister(self.wait)

    def _become_ready(self, encoder: Encoder, loaded_s: float, loaded_mb: float) -> bool:
        """Take the loaded encoder into use, and return True; unless it was suspended meanwhile."""
        log.info("Loaded %s model in %.1f s, %.0f MB", self._spelling, loaded_s, loaded_mb)
        with self._lock:
            self.loaded_s, self.loaded_mb = loaded_s, loaded_mb
            is_ready = not self._rests
            if is_ready:
                self._encoder, self.error, self._used_at = encoder, None, self._clock()
            self._state = "ready" if is_ready else "unavailable"
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
