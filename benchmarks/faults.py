"""Faults under load, PostgreSQL, in a hard 512 MB: what was acknowledged is there, and the site is back within seconds.

Twenty requests a second, a quarter of them writes; each fault is done to the real thing, and undone where a host would.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import psutil
import psycopg2
from sqlalchemy import make_url

from benchmarks.figures import ROOT, WORK, Figure, tell
from benchmarks.limit import limited
from tests.conftest import migrate
from tests.databases import PostgresServer, system_programs
from tests.servers import Server, environment

TOKEN = "a token of the benchmark"  # noqa: S105 - of a server that lives three minutes
SECRETS = {"SECRET_KEY": "a secret of the benchmark", "ADMIN_TOKEN": TOKEN}
A_SECOND, CLIENTS = 20, 24
QUIET_S = 2.0  # so long all must be well, before a fault and after it
BACK_S = 30.0
DURABLE = ("fsync=on", "synchronous_commit=on", "max_connections=30")


@dataclass(slots=True)
class Load:
    """Requests at an even pace, what became of each, and the writes that were acknowledged."""

    site: Server
    ended: list[tuple[float, int]] = field(default_factory=list)  # when, and the status; 0 where no answer came
    written: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as clients:
            number = 0
            while not self.over.wait(1 / A_SECOND):
                number += 1
                clients.submit(self.ask, number)

    def ask(self, number: int) -> None:
        try:
            status = self.write(f"{number}") if number % 4 == 0 else self.read(number)
        except (OSError, HTTPException):
            status = 0
        self.ended.append((time.monotonic(), status))

    def write(self, own_id: str) -> int:
        body = json.dumps({"title": f"מסמך {own_id}", "body": "גוף קצר על מים ולחם.", "tags": ["עומס"]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        status = self.site.send("PUT", f"/api/documents/{own_id}?collection=load", body, **headers).status
        if status in (200, 201):
            self.written.add(own_id)
        return status

    def read(self, number: int) -> int:
        paths = ("/text", "/tags", "/")
        return self.site.ask(paths[number % 3], q=f"מים {number % 7}").status

    def since(self, moment: float) -> list[tuple[float, int]]:
        return [one for one in list(self.ended) if one[0] >= moment]


@dataclass(frozen=True, slots=True)
class Place:
    """What a fault is done to."""

    site: Server
    database: PostgresServer
    url: str


def postgres(place: Place, *statements: str) -> None:
    address = make_url(place.url)
    with closing(psycopg2.connect(host=address.query["host"], user="postgres", dbname=address.database)) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)


def worker_killed(place: Place) -> None:
    for one in place.site.workers():
        one.kill()


def database_killed(place: Place) -> None:
    place.database.crash()


def database_restarted(place: Place) -> None:
    place.database.restart()


def database_hung(place: Place) -> None:
    with place.database.stands_still():
        time.sleep(6)


def connections_cut(place: Place) -> None:
    name = make_url(place.url).database
    postgres(place, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
             " AND pid <> pg_backend_pid()")  # fmt: skip


def worker_hung(place: Place) -> None:
    for one in place.site.workers():
        one.suspend()
    time.sleep(3)
    for one in place.site.workers():
        one.resume()


def flood(place: Place) -> None:
    """Open 500 connections, say nothing, and go after five seconds."""
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(("127.0.0.1", place.site.port), timeout=2))
        time.sleep(5)


def slow_clients(place: Place) -> None:
    """Send 30 requests a letter at a time for five seconds."""
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", place.site.port))) for _ in range(30)]
        for letter in b"GET / HTTP/1.1\r\n":
            for one in slow:
                with contextlib.suppress(OSError):
                    one.send(bytes([letter]))
            time.sleep(0.3)


def rolling_restart(place: Place) -> None:
    """Have gunicorn start a worker anew, as a release does on a host of one's own."""
    before = {one.pid for one in place.site.workers()}
    master(place.site).send_signal(signal.SIGHUP)
    until = time.monotonic() + 30
    while before & {one.pid for one in place.site.workers()} and time.monotonic() < until:
        time.sleep(0.1)


def master(site: Server) -> psutil.Process:
    return next(parent for one in site.workers() if (parent := one.parent()))


def migration(place: Place) -> None:
    """Widen the schema as a migration does, and run the migrations that there are."""
    postgres(place, "ALTER TABLE document ADD COLUMN IF NOT EXISTS widened bigint")
    postgres(place, "CREATE INDEX CONCURRENTLY IF NOT EXISTS document_widened ON document (widened)")
    given = environment(WORK, DATABASE_URL=place.url, **SECRETS)
    command = [sys.executable, "-m", "flask", "--app", "app", "db", "upgrade"]
    subprocess.run(command, cwd=ROOT, env=given, check=True, capture_output=True)


FAULTS: tuple[Callable[[Place], None], ...] = (
    worker_killed, worker_hung, database_restarted, database_killed, database_hung, connections_cut, flood,
    slow_clients, migration, rolling_restart,
)  # fmt: skip


def suffered(place: Place, load: Load, fault: Callable[[Place], None]) -> list[Figure]:
    """Return how a fault went: seconds until all was well again, and what visitors got meanwhile and afterwards."""
    name = (fault.__name__).replace("_", " ")
    time.sleep(QUIET_S)
    began = time.monotonic()
    fault(place)
    undone = time.monotonic()
    back = well_since(load, undone)
    after = load.since(back)
    meanwhile = [status for at, status in load.since(began) if at < back]
    wrong = [status for status in meanwhile if status >= 500 and status != 503]
    print(f"{name}: back after {back - undone:.1f} s; meanwhile {tally(meanwhile)}", file=sys.stderr)
    figures = [
        Figure(f"{name}: back after it was over", round(back - undone, 1), "s", "<= 10"),
        Figure(f"{name}: answered meanwhile, a second", round(len(meanwhile) / max(back - began, 0.1), 1), "/s"),
        Figure(f"{name}: 5xx other than 503 meanwhile", len(wrong), "", "<= 0"),
        Figure(f"{name}: failures afterwards", sum(status not in (200, 201) for _, status in after), "", "<= 0"),
    ]
    if fault is rolling_restart:
        failed = sum(status not in (200, 201) for status in meanwhile)
        figures.append(Figure("rolling restart: requests that failed", failed, "", "<= 0"))
    return figures


def tally(statuses: list[int]) -> dict[int, int]:
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def well_since(load: Load, undone: float) -> float:
    """Return the moment of the first answer after which QUIET_S passed without a failure."""
    until = undone + BACK_S
    while time.monotonic() < until:
        ended = load.since(undone)
        failed = max((at for at, status in ended if status not in (200, 201)), default=undone)
        since = min((at for at, status in ended if status in (200, 201) and at >= failed), default=until)
        if time.monotonic() - since >= QUIET_S and len(load.since(since)) > A_SECOND:
            return since
        time.sleep(0.1)
    return until


@contextmanager
def under_load(site: Server) -> Iterator[Load]:
    load = Load(site)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.over.set()
        thread.join()


def kept(url: str) -> set[str]:
    address = make_url(url)
    with closing(psycopg2.connect(host=address.query["host"], user="postgres", dbname=address.database)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT own_id FROM document")
        return {row[0] for row in cursor.fetchall()}


def on_postgresql(folder: Path) -> list[Figure]:
    database = PostgresServer(system_programs(), migrate, settings=DURABLE)
    report = folder / "memory.json"
    try:
        with database.fresh(folder) as url:
            site = Server(folder, {"DATABASE_URL": url, **SECRETS}, limited([], report))
            site.starts()
            place, figures = Place(site, database, url), []
            with under_load(site) as load:
                for fault in FAULTS:
                    figures += suffered(place, load, fault)
            site.stop()
            lost = load.written - kept(url)
    finally:
        database.stop()
    used = json.loads(report.read_text(encoding="utf-8"))
    return [
        *figures,
        Figure("acknowledged writes", len(load.written)),
        Figure("acknowledged writes that are not there", len(lost), "", "<= 0"),
        Figure("peak anonymous memory", used["peak_anonymous_mb"], "MB"),
        Figure("killed for memory", used["oom_kills"], "", "<= 0"),
    ]


def on_a_full_disk(folder: Path) -> list[Figure]:
    """Return how SQLite does where no file may grow: reading goes on, writing says so, and comes back with room."""
    migrate(f"sqlite:///{folder}/matmon.db")
    site = Server(folder, SECRETS)
    site.starts()
    load = Load(site)
    for number in range(20):
        load.write(str(number))
    (worker,) = site.workers()
    usual = worker.rlimit(psutil.RLIMIT_FSIZE)
    worker.rlimit(psutil.RLIMIT_FSIZE, (4096, usual[1]))
    full = [load.write(f"full{number}") for number in range(10)]
    reading = [site.ask("/text", q="מים").status for _ in range(10)]
    worker.rlimit(psutil.RLIMIT_FSIZE, usual)
    after = [load.write(f"after{number}") for number in range(10)]
    found = site.ask("/api/stats").json["documents"]
    site.stop()
    return [
        Figure("full disk: writes refused with 503, of 10", full.count(503), "", ">= 10"),
        Figure("full disk: searches answered, of 10", reading.count(200), "", ">= 10"),
        Figure("with room again: writes taken, of 10", sum(one in (200, 201) for one in after), "", ">= 10"),
        Figure("acknowledged writes that are not there", len(load.written) - found, "", "<= 0"),
    ]


def main() -> None:
    folder = WORK / "faults"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("postgresql", "sqlite"):
        (folder / name).mkdir(parents=True)
    tell([*on_postgresql(folder / "postgresql"), *on_a_full_disk(folder / "sqlite")])


if __name__ == "__main__":
    main()
