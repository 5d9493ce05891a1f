"""The bounded memory of values."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from utils.lru import LRUCache


def test_kept_values_are_bounded_and_the_oldest_go_first() -> None:
    kept: LRUCache[int] = LRUCache(3)
    for number in range(5):
        kept.set(number, number)
    assert kept.get(0) is None
    assert [kept.get(number) for number in (2, 3, 4)] == [2, 3, 4]


def test_a_value_that_was_recalled_stays_longer() -> None:
    kept: LRUCache[str] = LRUCache(2)
    kept.set("a", "A")
    kept.set("b", "B")
    assert kept.get("a") == "A"
    kept.set("c", "C")
    assert (kept.get("a"), kept.get("b")) == ("A", None)


def test_many_threads_keep_it_within_its_bound() -> None:
    kept: LRUCache[int] = LRUCache(10)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: kept.set(number % 50, number), range(5_000)))
    assert len(kept) <= 10


def test_bytes_are_bounded_and_counted() -> None:
    kept: LRUCache[bytes] = LRUCache(100, most_bytes=10, size=len)
    for number in range(5):
        kept.set(number, b"four")
    assert (len(kept), kept.nbytes) == (2, 8)
    assert kept.set("large", b"eleven bytes") == b"eleven bytes"
    assert (len(kept), kept.nbytes) == (0, 0)


def test_a_value_that_is_kept_again_counts_once() -> None:
    kept: LRUCache[bytes] = LRUCache(100, most_bytes=10, size=len)
    kept.set("a", b"12345678")
    kept.set("a", b"123")
    assert (kept.get("a"), kept.nbytes) == (b"123", 3)


def test_what_is_too_old_is_not_recalled_and_takes_no_room() -> None:
    now = [0.0]
    kept: LRUCache[bytes] = LRUCache(100, size=len, ttl_s=60, clock=lambda: now[0])
    kept.set("a", b"1")
    now[0] = 59.0
    assert kept.get("a") == b"1"
    now[0] = 60.0
    assert kept.get("a") is None
    assert (len(kept), kept.nbytes, kept.hits, kept.misses) == (0, 0, 1, 1)


def test_all_is_let_go_at_once() -> None:
    kept: LRUCache[bytes] = LRUCache(100, size=len)
    kept.set("a", b"1")
    kept.clear()
    assert (kept.get("a"), len(kept), kept.nbytes) == (None, 0, 0)
