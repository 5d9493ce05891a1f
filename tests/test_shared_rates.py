"""Rates that processes share: one count for all of them, and each its own while there is no Redis."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import sqlite_alone
from tests.redis_server import RedisServer, redis_server
from tests.servers import Server, serving
from tests.test_redis_cache import open_cache, wait_connected
from tests.waiting import until
from web.rate_limits import BoundedStorage

database = sqlite_alone
server = redis_server


def test_two_stores_count_together_and_alone_while_it_is_away(server: RedisServer) -> None:
    with open_cache(server.url) as first, open_cache(server.url) as second:
        one, other = BoundedStorage(cache=first), BoundedStorage(cache=second)
        for shared in (first, second):
            wait_connected(shared)
        assert [one.incr("a", 60), other.incr("a", 60), one.incr("a", 60)] == [1, 2, 3]
        # Redis rounds to a millisecond.
        assert -0.01 < one.get_expiry("a") - other.get_expiry("a") < 1
        assert (one.get("a"), other.get("a")) == (3, 2)
        server.kill()
        # Each goes on from the last that it heard.
        assert [one.incr("a", 60), one.incr("a", 60), other.incr("a", 60)] == [4, 5, 3]
        server.start()
        for shared in (first, second):
            until(lambda shared=shared: shared.figures().state == "connected", "a connection")  # type: ignore[misc]
        assert [one.incr("a", 60), other.incr("a", 60)] == [1, 2]


def test_a_client_stands_in_the_redis_by_a_number_only(server: RedisServer) -> None:
    with open_cache(server.url) as shared:
        wait_connected(shared)
        BoundedStorage(cache=shared).incr("LIMITS:LIMITER/192.0.2.77/searches/60/1/minute", 60)
        (key,) = server.client.keys()
        assert b"192.0.2.77" not in key
        assert 0 < server.client.ttl(key) <= 60


def connected(server: Server) -> bool:
    return bool(json.loads(server.get("/api/monitoring/health")[1])["redis"]["state"] == "connected")


def test_two_servers_on_one_redis_refuse_together(database: str, tmp_path: Path, server: RedisServer) -> None:
    settings = {"DATABASE_URL": database, "REDIS_URL": server.url, "RATE_LIMIT": "6/hour"}
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    with serving(folders[0], **settings) as first, serving(folders[1], **settings) as second:
        for one in (first, second):
            until(lambda one=one: connected(one), "a connection")  # type: ignore[misc]
        asked = [one.ask("/api/search", q="a").status for _ in range(3) for one in (first, second)]
        assert asked == [200] * 6
        assert [one.ask("/api/search", q="a").status for one in (first, second)] == [429, 429]
        server.kill()
        # Without it each goes on from what it heard last: here that nobody may ask any more.
        assert [one.ask("/api/search", q="a").status for one in (first, second)] == [429, 429]
        assert first.ask("/livez").status == 200
