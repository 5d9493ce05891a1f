"""The guard of the memory: what it does, when, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from operations.guard import BETWEEN_DROPS_S, Guard, MemoryShort
from operations.memory import Memory


@dataclass
class House:
    """A memory of 100 MB, what fills it, and what was done to empty it."""

    other_mb: float = 50.0
    caches_mb: float = 10.0
    model_mb: float = 20.0
    now: float = 0.0
    done: list[str] = field(default_factory=list)

    def look(self) -> Memory:
        used = self.other_mb + self.caches_mb + self.model_mb
        return Memory(used, 100.0, used / 100, "test")

    def drop(self) -> None:
        self.done.append("dropped")
        self.caches_mb = 0.0

    def suspend(self, reason: str, for_s: float) -> None:
        self.done.append(f"{reason}; for {for_s:.0f} s")
        self.model_mb = 0.0

    def guard(self) -> Guard:
        guard = Guard(self.look, clock=lambda: self.now)
        guard.can_free(self.drop, self.suspend)
        return guard


def test_well_under_the_limit_nothing_is_done() -> None:
    house = House()
    house.guard().check()
    assert house.done == []


def test_caches_go_first_and_where_that_is_enough_the_model_stays() -> None:
    house = House(other_mb=65)
    guard = house.guard()
    guard.check()
    assert (house.done, house.model_mb, guard.counts) == (["dropped"], 20, {"caches_dropped": 1})
    assert guard.text_only_left_s() == 0


def test_the_model_is_given_back_where_caches_are_not_enough() -> None:
    house = House(other_mb=73)
    guard = house.guard()
    guard.check()
    assert house.done == ["dropped", "memory is short: 93 of 100 MB are used; for 60 s"]
    assert [one.kind for one in guard.events] == ["caches_dropped", "model_given_back"]
    assert guard.text_only_left_s() == 60


def test_words_alone_are_searched_for_a_while_and_then_all_again() -> None:
    house = House(other_mb=73)
    guard = house.guard()
    guard.check()
    house.now, house.other_mb = 59.0, 50.0
    guard.check()
    assert "text_only_over" not in guard.counts
    house.now = 60.0
    guard.check()
    guard.check()
    assert guard.counts["text_only_over"] == 1
    assert guard.text_only_left_s() == 0


def test_a_rest_goes_on_while_memory_is_short_and_is_told_once() -> None:
    house = House(other_mb=95, caches_mb=0, model_mb=0)
    guard = house.guard()
    for house.now in range(200):
        guard.check()
    assert (guard.counts["model_given_back"], guard.counts["text_only_over"]) == (1, 0)
    assert house.done.count("memory is short: 95 of 100 MB are used; for 60 s") == 4
    house.other_mb, house.now = 50, 300
    guard.check()
    assert (guard.counts["text_only_over"], guard.text_only_left_s()) == (1, 0)


def test_while_it_stays_high_caches_are_dropped_now_and_then_and_not_at_every_look() -> None:
    house = House(other_mb=88, model_mb=0)
    guard = house.guard()
    for _ in range(5):
        guard.check()
    assert guard.counts["caches_dropped"] == 1
    house.now = BETWEEN_DROPS_S
    guard.check()
    assert guard.counts["caches_dropped"] == 2


def test_a_model_that_does_not_fit_is_refused_with_both_figures() -> None:
    house = House(other_mb=60, caches_mb=0, model_mb=0)
    house.guard().check_room(31)
    with pytest.raises(MemoryShort, match=r"about 33 MB and 32 MB are free \(60 of 100 MB are used\)"):
        house.guard().check_room(33)


def test_caches_make_room_for_a_model_where_that_is_enough() -> None:
    house = House(other_mb=60, caches_mb=10, model_mb=0)
    house.guard().check_room(20)
    assert house.done == []
    house.guard().check_room(31)
    assert house.done == ["dropped"]


def test_many_threads_that_check_do_it_once() -> None:
    house, inside, go_on = House(other_mb=73), threading.Event(), threading.Event()

    def slow_drop() -> None:
        inside.set()
        assert go_on.wait(10)
        house.drop()

    guard = house.guard()
    guard.can_free(slow_drop, house.suspend)
    first = threading.Thread(target=guard.check)
    first.start()
    assert inside.wait(10)
    others: list[Callable[[], None]] = [guard.check] * 20
    for check in others:
        check()
    go_on.set()
    first.join()
    assert (guard.counts["caches_dropped"], guard.counts["model_given_back"]) == (1, 1)


def test_the_events_that_are_kept_are_bounded() -> None:
    house = House(other_mb=88, model_mb=0)
    guard = house.guard()
    for number in range(200):
        house.now = number * BETWEEN_DROPS_S
        guard.check()
    assert len(guard.events) == 50
    assert guard.counts["caches_dropped"] == 200
