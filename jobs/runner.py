"""A thread of background work: it runs what waits, one job after another, and is there only while there is work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from encoders.queue import EncoderUnavailable

LOOK_EVERY_S = 1.0
PAUSE_S = 10.0  # after a failure that is not the job's: the database is away, or the model has no memory
STOP_S = 20.0  # gunicorn ends a worker that takes longer than 25 s
log = logging.getLogger("matmon.jobs")


class Work(Protocol):
    """One kind of job."""

    def run_next(self, stop: threading.Event) -> bool:
        """Run one job that waits or was cut off, and return whether there was one."""

    def is_open(self) -> bool:
        """Tell whether a job waits or runs, here or in another process."""


class Runner:
    """Runs its kinds of work in one thread. A failure of the database or the model makes it pause, never end."""

    def __init__(self, name: str, *kinds: Work) -> None:
        self._name, self._kinds = name, kinds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop, self._woken = threading.Event(), threading.Event()
        self._last_error = ""

    def wake(self) -> Runner:
        """Run what waits, and what the process that runs it now may leave behind; return the runner."""
        with self._lock:
            self._woken.set()
            is_needed = bool(self._kinds) and not self._stop.is_set()
            if is_needed and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        return self

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until nothing is left to do here."""
        if (thread := self._thread) is not None:
            thread.join(timeout_s)

    def stop(self, wait_s: float = STOP_S) -> None:
        """Let the batch at work end, put its job back into the queue, and end the thread."""
        self.request_stop()
        self.join(wait_s)

    def request_stop(self) -> None:
        """Tell the work to end, and do not wait for it."""
        self._stop.set()
        self._woken.set()

    def run(self) -> None:
        """Run in the calling thread until `stop`: for a process that does nothing else."""
        while not self._stop.is_set():
            self._stop.wait(LOOK_EVERY_S if self._round() is not None else PAUSE_S)

    def _work(self) -> None:
        while not self._stop.is_set():
            self._woken.clear()
            is_open = self._round()
            with self._lock:
                if is_open is False and not self._woken.is_set():
                    self._thread = None
                    return
            if is_open is not False and not self._stop.is_set():
                self._woken.wait(LOOK_EVERY_S if is_open else PAUSE_S)

    def _round(self) -> bool | None:
        """Run all that can run, and return whether any job is still open; None if the database or model is away."""
        try:
            while not self._stop.is_set() and run_first(self._kinds, self._stop):
                pass
            self._last_error = ""
            return any(kind.is_open() for kind in self._kinds)
        except (SQLAlchemyError, EncoderUnavailable, OSError) as error:
            message = str(getattr(error, "orig", error)).strip()[:300]
            if message != self._last_error:
                log.warning("Background work pauses: %s", message)
            self._last_error = message
            return None


def run_first(kinds: Sequence[Work], stop: threading.Event) -> bool:
    """Run one job of the first kind that has any."""
    return any(kind.run_next(stop) for kind in kinds)
