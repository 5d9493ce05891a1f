"""Turns at the model: one at a time, first come first served, never without end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from encoders.queue import EncoderBusy, EncoderQueue
from tests.waiting import until


def occupied(turns: EncoderQueue, until_set: threading.Event) -> threading.Thread:
    """Return a thread that has its turn and keeps it."""
    begun = threading.Event()

    def work() -> None:
        with turns.slot():
            begun.set()
            until_set.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    return thread


def test_one_works_at_a_time() -> None:
    turns, lock, most = EncoderQueue(most_waiting=100, deadline_s=30), threading.Lock(), []

    def work(_: int) -> None:
        with turns.slot():
            most.append(lock.acquire(blocking=False))
            lock.release()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    assert all(most)


def test_turns_come_in_the_order_of_asking() -> None:
    turns, free, order = EncoderQueue(), threading.Event(), list[int]()
    first = occupied(turns, free)

    def work(number: int) -> None:
        with turns.slot():
            order.append(number)

    others = []
    for number in range(5):
        others.append(threading.Thread(target=work, args=(number,)))
        others[-1].start()
        until(lambda: turns.waiting == number + 1, "the next in the queue")  # noqa: B023 - called at once
    free.set()
    for thread in (first, *others):
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_a_full_queue_turns_away_at_once() -> None:
    turns, free = EncoderQueue(most_waiting=0), threading.Event()
    first = occupied(turns, free)
    with pytest.raises(EncoderBusy, match="0 texts are already waiting"), turns.slot():
        pass
    free.set()
    first.join()
    with turns.slot():
        pass


def test_who_waits_too_long_is_told_and_those_behind_go_on() -> None:
    turns, free = EncoderQueue(deadline_s=0.05), threading.Event()
    first = occupied(turns, free)
    with pytest.raises(EncoderBusy, match="busy"), turns.slot():
        pass
    assert turns.waiting == 0
    free.set()
    first.join()
    with turns.slot():
        pass


def test_closing_lets_the_one_at_work_finish_and_turns_the_others_away() -> None:
    turns, free, told = EncoderQueue(deadline_s=30), threading.Event(), list[str]()
    first = occupied(turns, free)

    def work() -> None:
        try:
            with turns.slot():
                told.append("had a turn")
        except EncoderBusy as busy:
            told.append(str(busy))

    second = threading.Thread(target=work)
    second.start()
    until(lambda: turns.waiting == 1, "the second in the queue")
    turns.close("memory is short")
    second.join(10)
    assert told == ["memory is short"]
    assert first.is_alive()
    free.set()
    first.join()
    work()
    assert told == ["memory is short"] * 2


def test_a_failure_in_a_turn_ends_it() -> None:
    turns = EncoderQueue()
    with pytest.raises(ZeroDivisionError), turns.slot():
        raise ZeroDivisionError
    with turns.slot():
        pass


def test_something_is_told_after_each_turn() -> None:
    after = list[int]()
    turns = EncoderQueue(after_each=lambda: after.append(turns.waiting))
    for _ in range(3):
        with turns.slot():
            pass
    assert after == [0, 0, 0]


def test_of_two_places_both_are_given_and_the_third_waits() -> None:
    turns, free = EncoderQueue(deadline_s=0.05, places=2), threading.Event()
    threads = [occupied(turns, free), occupied(turns, free)]
    with pytest.raises(EncoderBusy, match=r"0\.05 s"), turns.slot():
        pass
    free.set()
    for thread in threads:
        thread.join()
    with turns.slot():
        assert turns.waiting == 0
