"""Waiting for what happens behind an answer: with an end, and without guessing how long it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
PATIENCE_S = 60.0


def until(ask: Callable[[], Found | None], what: str, patience_s: float = PATIENCE_S, every_s: float = 0.02) -> Found:
    """Return the first answer that is not empty; raises AssertionError when patience is over."""
    end = time.monotonic() + patience_s
    while not (found := ask()):
        assert time.monotonic() < end, f"{what}: not within {patience_s} s"
        time.sleep(every_s)
    return found


def background_threads() -> list[threading.Thread]:
    """Return the threads of this process that run jobs."""
    return [thread for thread in threading.enumerate() if thread.name in ("imports", "screenings")]


def imports_ended() -> None:
    """Wait until no import runs or waits in this process, and what was written is embedded."""
    for thread in background_threads():
        if thread.name == "imports":
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), thread.name
