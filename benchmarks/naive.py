"""The naive way in the same hard 512 MB, and in the memory that it takes: benchmarks/naive_site.py, AlephBERT's shape.

The weights are random, and so are the stored embeddings: memory and speed do not depend on their values. Without a bar:
these are the figures that the rest is to be compared with.
"""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import psutil

from benchmarks.figures import ROOT, WORK, Figure, tell
from benchmarks.limit import limited
from benchmarks.server import CLIENTS, rows
from utils.memory import MB, process_memory

PREPARING = ROOT / ".venv-prepare" / "bin" / "python"
TOKENIZER = ROOT.parent / "shared" / "data" / "alephbert"
DOCUMENTS, DIM = 20_000, 768
QUERIES, ALONE, MOST_S, START_S = 200, 20, 180.0, 120.0


def prepared() -> tuple[Path, Path]:
    """Return a database of float32 embeddings and a sentence-transformers folder; both are kept for the next run."""
    place = WORK / "naive"
    place.mkdir(parents=True, exist_ok=True)
    database, source = place / "naive.db", place / "source"
    if not (source / "modules.json").exists():
        make = (
            "import sys; from pathlib import Path; from benchmarks.alephbert_shape import write_source;"
            " write_source(Path(sys.argv[1]), Path(sys.argv[2]))"
        )
        command = [str(PREPARING), "-c", make, str(source), str(TOKENIZER)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    if not database.exists():
        fill(database)
    return database, source


def fill(database: Path) -> None:
    vectors = np.random.default_rng(5).standard_normal((DOCUMENTS, DIM), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE embedding (id INTEGER PRIMARY KEY, vector BLOB)")
    connection.executemany("INSERT INTO embedding VALUES (?, ?)", ((n, v.tobytes()) for n, v in enumerate(vectors)))
    connection.commit()
    connection.close()


class Naive:
    """The naive site under a limit."""

    def __init__(self, database: Path, source: Path, limit: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.report = WORK / "naive-peaks.json"
        self.report.unlink(missing_ok=True)
        command = [str(PREPARING), "-m", "benchmarks.naive_site", str(database), str(source), str(self.port)]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            limited(command, self.report, limit), cwd=ROOT, stderr=(WORK / "naive.log").open("w")
        )

    def wait(self) -> float:
        """Return the seconds until it answers; raises RuntimeError where it does not."""
        while time.monotonic() < self.began + START_S and self.process.poll() is None:
            if self.answers("/"):
                return time.monotonic() - self.began
            time.sleep(0.1)
        raise RuntimeError("the naive site did not start")

    def answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def search(self, text: str) -> bool:
        return self.answers("/?" + urlencode({"q": text}))

    def site(self) -> psutil.Process:
        started = psutil.Process(self.process.pid).children(recursive=True)
        return next(one for one in started if "benchmarks.naive_site" in one.cmdline() and not one.children())

    def stop(self) -> dict[str, Any]:
        with suppress(StopIteration, psutil.NoSuchProcess):  # killed already
            self.site().terminate()
        self.process.wait(60)
        found: dict[str, Any] = json.loads(self.report.read_text())
        return found


@contextmanager
def served(database: Path, source: Path, limit: str) -> Iterator[Naive]:
    site = Naive(database, source, limit)
    try:
        yield site
    finally:
        if site.process.poll() is None:
            site.stop()


def hammered(site: Naive, texts: list[str]) -> tuple[int, float]:
    """Return how many of the queries by CLIENTS clients were answered, and the seconds; MOST_S at most."""
    began = time.monotonic()

    def search(text: str) -> bool:
        return time.monotonic() < began + MOST_S and site.process.poll() is None and site.search(text)

    with ThreadPoolExecutor(CLIENTS) as clients:
        answered = sum(clients.map(search, texts))
    return answered, time.monotonic() - began


def alone(site: Naive, texts: list[str]) -> tuple[int, float, float]:
    """Return how many queries of one client were answered, and the processor's and the clock's milliseconds of each."""
    answered, spent_s, took_s = 0, 0.0, 0.0
    with suppress(StopIteration, psutil.NoSuchProcess):
        process = site.site()
        before, began = sum(process.cpu_times()[:2]), time.monotonic()
        for text in texts:
            if not site.search(text):
                break
            answered += 1
            spent_s, took_s = sum(process.cpu_times()[:2]) - before, time.monotonic() - began
    return answered, spent_s * 1000 / max(answered, 1), took_s * 1000 / max(answered, 1)


def measured(database: Path, source: Path, limit: str, texts: list[str]) -> list[Figure]:
    with served(database, source, limit) as site:
        try:
            start_s = site.wait()
        except RuntimeError:
            peaks = site.stop()
            return [Figure(f"naive, {limit}: killed at its start", peaks["oom_kills"])]
        at_rest = process_memory(site.site().pid)
        began = time.monotonic()
        site.search(texts[0])
        first_s = time.monotonic() - began
        one_by_one, cpu_ms, clock_ms = alone(site, texts[1 : ALONE + 1])
        answered, took_s = hammered(site, texts[ALONE + 1 : ALONE + 1 + QUERIES])
        peaks = site.stop()
    return [
        Figure(f"naive, {limit}: until it answers", round(start_s, 1), "s"),
        Figure(f"naive, {limit}: at rest, PSS", round(at_rest.pss / MB, 1) if at_rest else 0, "MB"),
        Figure(f"naive, {limit}: at rest, anonymous", round(at_rest.anonymous / MB, 1) if at_rest else 0, "MB"),
        Figure(f"naive, {limit}: first query", round(first_s, 2), "s"),
        Figure(f"naive, {limit}: {ALONE} queries of one client: answered", one_by_one),
        Figure(f"naive, {limit}: a query of one client", round(cpu_ms, 1), "CPU ms"),
        Figure(f"naive, {limit}: a query of one client by the clock", round(clock_ms, 1), "ms"),
        Figure(f"naive, {limit}: {QUERIES} queries by {CLIENTS} clients: answered", answered),
        Figure(f"naive, {limit}: … took", round(took_s, 1), "s"),
        Figure(f"naive, {limit}: peak anonymous memory", peaks["peak_anonymous_mb"], "MB"),
        Figure(f"naive, {limit}: killed for memory", peaks["oom_kills"]),
    ]


def main() -> None:
    database, source = prepared()
    texts = [row["text"] for row in rows("heq_queries")]
    figures = [one for limit in ("512M", "2G") for one in measured(database, source, limit, texts)]
    tell([Figure("documents", DOCUMENTS), *figures])


if __name__ == "__main__":
    main()
