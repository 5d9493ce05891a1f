"""One, two and three web processes on one PostgreSQL: searches a second, and whose processor time they take.

This machine has two cores for the sites, the database and the clients together: three sites that may take what they can
only show that. So they are also measured as small hosts are, each held to a tenth of a core, which leaves room for
three and the database: what neighbours on this machine do then hardly matters.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import psutil

from benchmarks.cpu_share import can_limit, limited_to
from benchmarks.figures import ROOT, WORK, Figure, flask, tell
from benchmarks.growth_vectors import embed_as_if
from benchmarks.load import SECRETS
from benchmarks.server import documents, rows
from tests.conftest import migrate
from tests.databases import PostgresServer, embedded_programs
from tests.servers import Server
from tests.waiting import until

DOCUMENTS, MOST, CLIENTS_EACH = 5_000, 3, 4
FREE_S, SHARE_S, SETTLE_S = 15.0, 40.0, 5.0
SHARE = 0.1
MODES = ("text", "tags", "hybrid")
SETTINGS = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(ROOT / "models"), **SECRETS}


@dataclass(frozen=True, slots=True)
class Run:
    """What so many sites did within some seconds; processor time in seconds."""

    sites: int
    seconds: float
    answered: int
    failed: int
    web_s: float
    database_s: float

    @property
    def a_second(self) -> float:
        return self.answered / self.seconds

    @property
    def web_ms(self) -> float:
        return self.web_s * 1000 / max(self.answered, 1)

    @property
    def database_ms(self) -> float:
        return self.database_s * 1000 / max(self.answered, 1)


def questions() -> Iterator[tuple[str, str]]:
    """Yield searches without end, hardly any twice: (mode, text); modes in no order, or each site would get its own."""
    chance = random.Random(41)
    texts = [row["text"] for row in rows("heq_queries")] + [row["he"] for row in rows("he_en_pairs")]
    tags = sorted({tag for row in rows("he_docs") for tag in row.get("tags", [])})
    for number in itertools.count():
        mode = chance.choice(MODES)
        some = tags if mode == "tags" else texts
        yield mode, some[number % len(some)]


@contextmanager
def database(folder: Path) -> Iterator[tuple[PostgresServer, str]]:
    """Give a PostgreSQL with documents and embeddings."""
    server = PostgresServer(embedded_programs(), migrate, settings=("shared_buffers=128MB", "max_connections=40"))
    try:
        with server.fresh(folder) as url:
            given = {"DATABASE_URL": url, **SETTINGS}
            with (folder / "many.jsonl").open("w", encoding="utf-8") as file:
                for row in islice(documents(), DOCUMENTS):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            flask(folder, "import", str(folder / "many.jsonl"), **given)
            embed_as_if(url)
            yield server, url
    finally:
        server.stop()


@contextmanager
def serving(folder: Path, url: str, count: int) -> Iterator[list[Server]]:
    """Give so many sites, each as a host of its own runs it, their models and indexes loaded."""
    sites = []
    try:
        for number in range(count):
            own = folder / f"site-{number}"
            own.mkdir(exist_ok=True)
            sites.append(Server(own, {"DATABASE_URL": url, **SETTINGS}))
        for site in sites:
            site.starts()
            until(lambda site=site: site.search("לחם", "hybrid")["semantic"]["state"] == "ready", "the model")  # type: ignore[misc]
        yield sites
    finally:
        for site in sites:
            site.stop()


def measured(sites: Sequence[Server], server: PostgresServer, asked: Iterator[tuple[str, str]], seconds: float) -> Run:
    """Have clients search, the sites in turn, until the time is over."""
    family = [psutil.Process(pid) for site in sites for pid in processes(site)]
    turn, lock, over = itertools.cycle(sites), threading.Lock(), threading.Event()

    def client() -> list[bool]:
        found = []
        while not over.is_set():
            with lock:
                site, (mode, text) = next(turn), next(asked)
            found.append(site.ask("/api/search", q=text, mode=mode).status == 200)
        return found

    with ThreadPoolExecutor(CLIENTS_EACH * len(sites)) as clients:
        going = [clients.submit(client) for _ in range(CLIENTS_EACH * len(sites))]
        began, here, there = time.monotonic(), cpu_s(family), server.cpu_s()
        time.sleep(seconds)
        over.set()
        answers = [one for each in going for one in each.result()]
        took, here, there = time.monotonic() - began, cpu_s(family) - here, server.cpu_s() - there
    return Run(len(sites), took, sum(answers), answers.count(False), here, there)


def processes(site: Server) -> list[int]:
    own = psutil.Process(site.process.pid)
    return [one.pid for one in (own, *own.children(recursive=True))]


def cpu_s(family: Sequence[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in family)


def as_small_hosts(sites: Sequence[Server], server: PostgresServer, asked: Iterator[tuple[str, str]]) -> Run:
    with ExitStack() as shares:
        shares.enter_context(limited_to(None, [one.pid for one in server.family()]))
        for site in sites:
            shares.enter_context(limited_to(SHARE, processes(site)))
        measured(sites, server, asked, SETTLE_S)
        return measured(sites, server, asked, SHARE_S)


def runs(folder: Path) -> tuple[list[Run], list[Run]]:
    """Return what one, two and three sites did: free, and held to a share of a core each."""
    free, small, asked = [], [], questions()
    with database(folder) as (server, url):
        for count in range(1, MOST + 1):
            with serving(folder, url, count) as sites:
                measured(sites, server, asked, SETTLE_S)
                free.append(measured(sites, server, asked, FREE_S))
                if can_limit():
                    small.append(as_small_hosts(sites, server, asked))
    return free, small


def told(name: str, found: Sequence[Run], bar: str = "") -> list[Figure]:
    figures = []
    for one in found:
        of = f"{name}, {one.sites} web process{'es' if one.sites > 1 else ''}"
        figures += [
            Figure(f"{of}: searches a second", one.a_second, "/s"),
            Figure(f"{of}: cores kept busy, web", one.web_s / one.seconds),
            Figure(f"{of}: cores kept busy, database", one.database_s / one.seconds),
            Figure(f"{of}: a search, web", one.web_ms, "CPU ms"),
            Figure(f"{of}: a search, database", one.database_ms, "CPU ms"),
            Figure(f"{of}: answers other than 200", one.failed, "", "<= 0"),
        ]
    ratio = found[-1].a_second / found[0].a_second
    return [*figures, Figure(f"{name}: {MOST} web processes, times the searches of one", ratio, "", bar)]


def reckoned(found: Sequence[Run]) -> list[Figure]:
    """Return what follows for hosts of a core each, of what a search takes with one process."""
    web, there = found[0].web_ms, found[0].database_ms
    return [
        Figure("reckoned: a host of one core, searches a second", 1000 / web, "/s"),
        Figure("reckoned: three hosts of one core each, searches a second", 3000 / web, "/s"),
        Figure("reckoned: cores of the database that they keep busy", 3 * there / web),
        Figure("reckoned: web hosts of one core that one core of the database serves", web / there),
    ]


def main() -> None:
    folder = WORK / "several"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    free, small = runs(folder)
    figures = told("sharing two cores", free)
    if small:
        figures += [*told(f"{SHARE:.0%} of a core each", small, ">= 2.5"), *reckoned(small)]
    tell([replace(one, value=round(one.value, 2)) for one in figures])


if __name__ == "__main__":
    main()
