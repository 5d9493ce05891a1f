"""The breaker: open after failures in a row, one try after a rest, closed by a success."""

from __future__ import annotations

import pytest

from utils.circuit_breaker import CircuitBreaker


class Harmless(Exception):
    pass


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(OSError, match="away"), breaker.watch(Harmless):
            raise OSError("away")


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.watch(Harmless):
        pass


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = CircuitBreaker(failures=3, rest_s=30, clock=Clock())
    fail(breaker, 2)
    assert breaker.allows()
    fail(breaker)
    assert not breaker.allows()


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = CircuitBreaker(failures=3, clock=Clock())
    for _ in range(5):
        fail(breaker, 2)
        succeed(breaker)
    assert breaker.allows()


def test_after_the_rest_one_try_goes_through_and_the_others_wait_for_how_it_ends() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, rest_s=30, clock=clock)
    fail(breaker)
    clock.now += 29.9
    assert not breaker.allows()
    clock.now += 0.1
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    succeed(breaker)
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_a_try_that_fails_after_the_rest_opens_it_again() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=3, rest_s=30, clock=clock)
    fail(breaker, 3)
    clock.now += 30
    assert breaker.allows()
    fail(breaker)
    assert not breaker.allows()
    clock.now += 30
    assert breaker.allows()


def test_a_try_that_never_ended_is_followed_by_another_after_a_rest() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, rest_s=30, clock=clock)
    fail(breaker)
    clock.now += 30
    assert breaker.allows()
    clock.now += 30
    assert breaker.allows()


def test_what_is_harmless_does_not_open_it() -> None:
    breaker = CircuitBreaker(failures=1, clock=Clock())
    with pytest.raises(Harmless), breaker.watch(Harmless):
        raise Harmless
    assert breaker.allows()
