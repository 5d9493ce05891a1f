"""The bounded memory of values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from utils.lru import Kept


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


def test_bytes_are_bounded_and_counted() -> None:
    kept: Kept[bytes] = Kept(100, most_bytes=10, size=len)
    for number in range(5):
        kept.keep(number, b"four")
    assert (len(kept), kept.nbytes) == (2, 8)
    assert kept.keep("large", b"eleven bytes") == b"eleven bytes"
    assert (len(kept), kept.nbytes) == (0, 0)


def test_a_value_that_is_kept_again_counts_once() -> None:
    kept: Kept[bytes] = Kept(100, most_bytes=10, size=len)
    kept.keep("a", b"12345678")
    kept.keep("a", b"123")
    assert (kept.recall("a"), kept.nbytes) == (b"123", 3)


def test_what_is_too_old_is_not_recalled_and_takes_no_room() -> None:
    now = [0.0]
    kept: Kept[bytes] = Kept(100, size=len, ttl_s=60, clock=lambda: now[0])
    kept.keep("a", b"1")
    now[0] = 59.0
    assert kept.recall("a") == b"1"
    now[0] = 60.0
    assert kept.recall("a") is None
    assert (len(kept), kept.nbytes, kept.hits, kept.misses) == (0, 0, 1, 1)


def test_all_is_let_go_at_once() -> None:
    kept: Kept[bytes] = Kept(100, size=len)
    kept.keep("a", b"1")
    kept.clear()
    assert (kept.recall("a"), len(kept), kept.nbytes) == (None, 0, 0)
