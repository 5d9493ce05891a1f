from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from config import ROOT
from encoders.base import Encoder
from encoders.lazy import LazyEncoder


class Stand:
    """As much of an encoder as the holder needs to hold one."""

    closed = ""

    def close(self, reason: str) -> None:
        self.closed = reason

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 2), dtype=np.float32)


class Gate:
    """A load that waits until it is let through, and then fails as often as it was told to."""

    def __init__(self, failures: int = 0) -> None:
        self.open = threading.Event()
        self.begun = threading.Event()
        self.calls = 0
        self.failures = failures

    def __call__(self) -> Encoder:
        self.calls += 1
        self.begun.set()
        assert self.open.wait(10)
        if self.calls <= self.failures:
            raise OSError("no such model")
        return cast("Encoder", Stand())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def loaded(clock: Clock | None = None) -> LazyEncoder:
    gate = Gate()
    gate.open.set()
    lazy = LazyEncoder(gate, "e5-small", clock=clock or Clock())
    lazy.start()
    assert lazy.wait(10)
    return lazy


def test_without_a_model_it_is_off_and_stays_off() -> None:
    lazy = LazyEncoder(None, "none")
    lazy.start()
    assert (lazy.state, lazy.encoder, lazy.error) == ("off", None, None)
    assert not lazy.wait(10)
    assert not lazy.unload()


def test_asking_starts_nothing() -> None:
    gate = Gate()
    lazy = LazyEncoder(gate, "e5-small")
    assert (lazy.state, lazy.encoder, lazy.loaded_s, lazy.loaded_mb) == ("idle", None, None, None)
    assert not lazy.wait(10)
    assert gate.calls == 0


def test_however_many_start_it_is_loaded_once() -> None:
    gate = Gate()
    lazy = LazyEncoder(gate, "e5-small")
    together = threading.Barrier(16)

    def ask() -> None:
        together.wait(10)
        lazy.start()

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert gate.begun.wait(10)
    assert (lazy.state, lazy.encoder) == ("loading", None)
    assert not lazy.wait(0.001)
    gate.open.set()
    assert lazy.wait(10)
    assert lazy.state == "ready"
    assert isinstance(lazy.encoder, Stand)
    assert gate.calls == 1
    lazy.start()
    assert gate.calls == 1


def test_what_loading_took_is_kept_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="matmon.encoders"):
        lazy = loaded()
    assert lazy.loaded_s is not None
    assert lazy.loaded_mb is not None
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "Loading e5-small model"
    assert lines[1].startswith("Loaded e5-small model in ")


def test_alephbert_is_spelled_as_its_makers_do(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    gate.open.set()
    lazy = LazyEncoder(gate, "alephbert")
    assert caplog.records == []
    with caplog.at_level(logging.INFO, logger="matmon.encoders"):
        lazy.start()
        lazy.wait(10)
    assert caplog.records[0].getMessage() == "Loading AlephBERT model"


def test_a_failure_is_told_once_and_tried_again_only_later(caplog: pytest.LogCaptureFixture) -> None:
    gate, clock = Gate(failures=1), Clock()
    gate.open.set()
    lazy = LazyEncoder(gate, "e5-small", retry_after_s=60, clock=clock)
    with caplog.at_level(logging.ERROR, logger="matmon.encoders"):
        lazy.start()
        assert not lazy.wait(10)
    assert (lazy.state, lazy.error, lazy.encoder) == ("unavailable", "no such model", None)
    assert [record.getMessage() for record in caplog.records] == ["Loading e5-small model failed: no such model"]
    clock.now += 59
    lazy.start()
    assert (lazy.state, gate.calls) == ("unavailable", 1)
    clock.now += 1
    lazy.start()
    assert lazy.wait(10)
    assert (lazy.state, lazy.error, gate.calls) == ("ready", None, 2)


def test_unloading_leaves_those_who_encode_their_encoder() -> None:
    lazy = loaded()
    encoder = lazy.encoder
    assert encoder is not None
    assert lazy.unload()
    assert (lazy.state, lazy.encoder) == ("idle", None)
    assert encoder.encode_queries(["still"]).shape == (1, 2)
    assert not lazy.unload()
    lazy.start()
    assert lazy.wait(10)
    assert lazy.encoder is not encoder


def test_one_that_is_loading_is_not_unloaded() -> None:
    gate = Gate()
    lazy = LazyEncoder(gate, "e5-small")
    lazy.start()
    assert not lazy.unload()
    assert not lazy.unload_if_idle(0.0001)
    gate.open.set()
    assert lazy.wait(10)


def test_use_puts_unloading_off() -> None:
    clock = Clock()
    lazy = loaded(clock)
    clock.now += 800
    lazy.used()
    clock.now += 800
    assert not lazy.unload_if_idle(900)
    clock.now += 100
    assert lazy.unload_if_idle(900)
    assert lazy.state == "idle"


def test_it_says_how_long_nobody_used_it_and_nothing_when_it_is_gone() -> None:
    clock = Clock()
    lazy = loaded(clock)
    clock.now += 40
    assert lazy.unused_s == 40
    lazy.used()
    assert lazy.unused_s == 0
    lazy.unload()
    assert lazy.unused_s is None


def test_an_idle_time_of_0_never_unloads() -> None:
    clock = Clock()
    lazy = loaded(clock)
    clock.now += 1e9
    assert not lazy.unload_if_idle(0)
    assert lazy.state == "ready"


def test_what_is_given_back_refuses_what_comes_and_rests_a_while() -> None:
    clock = Clock()
    lazy = loaded(clock)
    held = lazy.encoder
    assert lazy.suspend("memory is short", 60)
    assert isinstance(held, Stand)
    assert held.closed == "memory is short"
    assert (lazy.state, lazy.error, lazy.encoder) == ("unavailable", "memory is short", None)
    lazy.start()
    assert lazy.state == "unavailable"
    clock.now += 60
    assert lazy.state == "idle"
    lazy.start()
    assert lazy.wait(10)
    assert lazy.error is None


def test_one_given_back_while_it_loads_is_let_go_of_when_it_is_loaded() -> None:
    gate, clock = Gate(), Clock()
    lazy = LazyEncoder(gate, "e5-small", clock=clock)
    lazy.start()
    assert gate.begun.wait(10)
    assert not lazy.suspend("memory is short", 60)
    gate.open.set()
    assert not lazy.wait(10)
    assert (lazy.state, lazy.error, lazy.encoder) == ("unavailable", "memory is short", None)
    lazy.start()
    assert gate.calls == 1
    clock.now += 60
    lazy.start()
    assert lazy.wait(10)
    assert gate.calls == 2


def test_one_that_cannot_be_loaded_does_not_get_well_by_resting() -> None:
    gate, clock = Gate(failures=1), Clock()
    gate.open.set()
    lazy = LazyEncoder(gate, "e5-small", clock=clock)
    lazy.start()
    assert not lazy.wait(10)
    clock.now += 3600
    assert (lazy.state, lazy.error) == ("unavailable", "no such model")


def test_one_that_is_not_loaded_rests_too() -> None:
    lazy = LazyEncoder(lambda: cast("Encoder", Stand()), "e5-small", clock=Clock())
    assert not lazy.suspend("memory is short", 60)
    lazy.start()
    assert lazy.state == "unavailable"


def test_a_switch_holds_the_other_model_from_the_next_use_on() -> None:
    lazy, other = loaded(), Stand()
    lazy.switch(lambda: cast("Encoder", other), "alephbert")
    assert (lazy.model, lazy.state, lazy.encoder) == ("alephbert", "idle", None)
    lazy.start()
    assert lazy.wait(10)
    assert cast("Stand", lazy.encoder) is other


# Leaves the process less address space than a thread's stack takes, asks for the model, and then again with room.
CROWDED = """
import resource, sys
from encoders.lazy import LazyEncoder
from search.semantic import Semantic

side = Semantic(LazyEncoder(object, "e5-small", retry_after_s=0, idle_s=900))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
_, most = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, most))
print(side.lazy.load(10), side.lazy.state, side.lazy.error)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print(side.lazy.load(10), side.lazy.state, side.lazy.error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's addresses so")
def test_where_no_thread_can_be_started_it_fails_and_is_tried_again() -> None:
    ended = subprocess.run([sys.executable, "-c", CROWDED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines() == ["False unavailable can't start new thread", "True ready None"], ended.stderr


def test_a_switch_tells_in_the_log_of_the_model_that_went_and_of_none_that_was_not_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "matmon.encoders")
    lazy = loaded()
    caplog.clear()
    for name in ("mine", "alephbert"):
        lazy.switch(lambda: cast("Encoder", Stand()), name)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["Unloaded e5-small model"]
