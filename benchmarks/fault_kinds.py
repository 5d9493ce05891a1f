"""Faults, each done to the real thing, and undone where a host would."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from sqlalchemy import make_url

from benchmarks.fault_place import Place
from benchmarks.figures import ROOT
from tests.servers import environment

HUNG_S, GONE_S = 6.0, 5.0
CONNECTIONS, SLOW = 500, 30


def worker_killed(place: Place) -> None:
    for one in place.site.workers():
        one.kill()


def worker_hung(place: Place) -> None:
    for one in place.site.workers():
        one.suspend()
    time.sleep(HUNG_S / 2)
    for one in place.site.workers():
        one.resume()


def database_restarted(place: Place) -> None:
    place.database.restart()


def database_killed(place: Place) -> None:
    place.database.crash()


def database_hung(place: Place) -> None:
    with place.database.stands_still():
        time.sleep(HUNG_S)


def connections_cut(place: Place) -> None:
    name = make_url(place.url).database
    place.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
              " AND pid <> pg_backend_pid()")  # fmt: skip


def redis_killed(place: Place) -> None:
    """Kill the Redis; its host starts it again, empty, five seconds later."""
    place.redis.kill()
    time.sleep(GONE_S)
    place.redis.start()


def redis_hung(place: Place) -> None:
    with place.redis.held_up():
        time.sleep(GONE_S)


def flood(place: Place) -> None:
    """Open 500 connections, say nothing, and go after five seconds."""
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(("127.0.0.1", place.site.port), timeout=2))
        time.sleep(GONE_S)


def slow_clients(place: Place) -> None:
    """Send 30 requests a letter at a time for five seconds."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", place.site.port))) for _ in range(SLOW)]
        for letter in b"GET / HTTP/1.1\r\n":
            for one in slow:
                with contextlib.suppress(OSError):
                    one.send(bytes([letter]))
            time.sleep(0.3)


def rolling_restart(place: Place) -> None:
    """Have gunicorn start a worker anew, as a release does on a host of one's own."""
    before = {one.pid for one in place.site.workers()}
    place.master().send_signal(signal.SIGHUP)
    until = time.monotonic() + 30
    while before & {one.pid for one in place.site.workers()} and time.monotonic() < until:
        time.sleep(0.1)


def migration(place: Place) -> None:
    """Widen the schema as a migration does, and run the migrations that there are."""
    place.sql("ALTER TABLE document ADD COLUMN IF NOT EXISTS widened bigint")
    place.sql("CREATE INDEX CONCURRENTLY IF NOT EXISTS document_widened ON document (widened)")
    given = environment(place.folder, **place.settings)
    command = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    subprocess.run(command, cwd=ROOT, env=given, check=True, capture_output=True)


FAULTS: tuple[Callable[[Place], None], ...] = (
    worker_killed, worker_hung, database_restarted, database_killed, database_hung, connections_cut, redis_killed,
    redis_hung, flood, slow_clients, migration, rolling_restart,
)  # fmt: skip
# No visitor may notice these.
UNSEEN = (redis_killed, redis_hung, migration, rolling_restart)
