"""A background thread that runs queued jobs one by one, and exists only while there is work."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from encoders.queue import EncoderUnavailable

LOOK_EVERY_S = 1.0
PAUSE_S = 10.0  # after a failure of the database or the model, which is not the job's fault
STOP_S = 20.0  # gunicorn kills a worker that takes longer than 25 s
log = logging.getLogger("matmon.jobs")


class Work(Protocol):
    """One kind of job."""

    def run_next(self, stop: threading.Event) -> bool:
        """Run one job that is queued or was cut off, and return whether there was one."""

    def is_open(self) -> bool:
        """Tell whether a job is queued or running, here or in another process."""


class Runner:
    """Runs several kinds of work in one thread; a failure of the database or the model makes it pause, never end."""

    def __init__(self, name: str, *kinds: Work) -> None:
        self._name, self._kinds = name, kinds
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop, self._woken = threading.Event(), threading.Event()
        self._last_error = ""

    def wake(self) -> Runner:
        """Start the thread if it is not running, and return the runner."""
        with self._lock:
            self._woken.set()
            is_needed = bool(self._kinds) and not self._stop.is_set()
            if is_needed and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        return self

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until the thread ends."""
        if (thread := self._thread) is not None:
            thread.join(timeout_s)

    def stop(self, wait_s: float = STOP_S) -> None:
        """Finish the current batch, return its job to the queue, and end the thread."""
        self.request_stop()
        self.join(wait_s)

    def request_stop(self) -> None:
        """Ask the work to end, without waiting."""
        self._stop.set()
        self._woken.set()

    def run(self) -> None:
        """Run in the calling thread until stopped, in a process that does nothing else."""
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
        """Run all jobs that can run, and return whether any is still open; None if the database or model failed."""
        try:
            while not self._stop.is_set() and any(kind.run_next(self._stop) for kind in self._kinds):
                pass
            self._last_error = ""
            return any(kind.is_open() for kind in self._kinds)
        except (SQLAlchemyError, EncoderUnavailable, OSError) as error:
            message = str(getattr(error, "orig", error)).strip()[:300]
            if message != self._last_error:
                log.warning("Background work pauses: %s", message)
            self._last_error = message
            return None
