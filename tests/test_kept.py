"""The bounded memory of values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from utils.kept import Kept


def test_kept_values_are_bounded_and_the_oldest_go_first() -> None:
    kept: Kept[int] = Kept(3)
    for number in range(5):
        kept.keep(number, number)
    assert kept.recall(0) is None
    assert [kept.recall(number) for number in (2, 3, 4)] == [2, 3, 4]


def test_a_value_that_was_recalled_stays_longer() -> None:
    kept: Kept[str] = Kept(2)
    kept.keep("a", "A")
    kept.keep("b", "B")
    assert kept.recall("a") == "A"
    kept.keep("c", "C")
    assert (kept.recall("a"), kept.recall("b")) == ("A", None)


def test_many_threads_keep_it_within_its_bound() -> None:
    kept: Kept[int] = Kept(10)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: kept.keep(number % 50, number), range(5_000)))
    assert len(kept) <= 10
