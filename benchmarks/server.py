"""The server in a hard 512 MB: sample collection and 10,000 documents, 8 clients, all modes."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from benchmarks.figures import DATA, ROOT, WORK, Figure, flask, tell
from benchmarks.limit import limited
from utils.memory import MB, process_memory

DOCUMENTS, SEARCHES, CLIENTS, WARM = 10_000, 300, 8, 100
MODES = ("hybrid", "text", "semantic", "tags")


def documents() -> Iterator[dict[str, Any]]:
    """Yield real documents of many kinds, the shortest kinds last."""
    for name in ("he_docs", "en_docs", "heq_corpus"):
        for row in rows(name):
            yield {name: row[name] for name in ("id", "title", "body") if name in row} | {"tags": row.get("tags", [])}
    for row in rows("he_en_pairs"):
        for language in ("he", "en"):
            yield {"id": f"{row['id']}-{language}", "title": row[language][:60], "body": row[language]}
    for row in rows("job_roles"):
        yield {"id": row["id"], "title": row["title"], "body": row["description"], "tags": row["skills"]}
    for row in rows("he_wordnet"):
        yield {"id": row["id"], "title": " ".join(row["words"]), "body": row["gloss"]}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").open(encoding="utf-8")]


def prepared() -> Path:
    """Return an instance folder with everything imported and embedded; kept for the next run."""
    instance = WORK / "server"
    if (instance / "whole").exists():
        flask(instance, "db", "upgrade")  # it may be of an earlier version
        return instance
    shutil.rmtree(instance, ignore_errors=True)
    flask(instance, "db", "upgrade")
    for language in ("he", "en"):
        flask(instance, "import", f"data/sample-{language}.jsonl", "--collection", "sample")
    with (instance / "many.jsonl").open("w", encoding="utf-8") as file:
        for row in islice(documents(), DOCUMENTS):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    flask(instance, "import", str(instance / "many.jsonl"), "--collection", "many")
    flask(instance, "embed")
    (instance / "whole").touch()
    return instance


class Server:
    """gunicorn under the limit; its processes are the tool's children. `beside` is a shell command that runs first."""

    def __init__(self, instance: Path, limit: str = "512M", beside: str = "", **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.report = WORK / "peaks.json"
        given = os.environ | {
            "INSTANCE_DIR": str(instance), "PORT": str(self.port), "HOST": "127.0.0.1", "RATE_LIMIT": "100000/minute",
        } | environment  # fmt: skip
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:app"]
        if beside:
            command = ["sh", "-c", f'({beside}) & exec "$@"', "sh", *command]
        self.process = subprocess.Popen(
            limited(command, self.report, limit), cwd=ROOT, env=given, stderr=(WORK / "server.log").open("w")
        )
        self.family: list[psutil.Process] = []

    def wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if self.get("/livez")[0] == 200:
                    break
            except OSError:
                time.sleep(0.05)
        started = psutil.Process(self.process.pid).children(recursive=True)
        self.family = [one for one in started if "gunicorn" in " ".join(one.cmdline())]

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def search(self, text: str, mode: str) -> tuple[int, dict[str, Any]]:
        status, body = self.get("/api/search?" + urlencode({"q": text, "mode": mode}))
        return status, json.loads(body)

    def pss_mb(self) -> float:
        found = [process_memory(one.pid) for one in self.family]
        return sum(one.pss for one in found if one) / MB

    def cpu_s(self) -> float:
        return sum(one.cpu_times().user + one.cpu_times().system for one in self.family)

    def stop(self) -> dict[str, Any]:
        master = min(self.family, key=lambda one: one.create_time())
        master.send_signal(signal.SIGTERM)
        self.process.wait(60)
        found: dict[str, Any] = json.loads(self.report.read_text())
        return found


@contextmanager
def served(instance: Path, limit: str = "512M", beside: str = "", **environment: str) -> Iterator[Server]:
    server = Server(instance, limit, beside, **environment)
    try:
        server.wait()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def first_semantic_s(server: Server) -> float:
    """Return the seconds from the first question to the first answer by meaning."""
    began = time.monotonic()
    while True:
        _, answer = server.search("איך חוסכים מים בבית", "semantic")
        if answer["semantic"]["state"] == "ready" and answer["hits"]:
            return time.monotonic() - began
        time.sleep(0.02)


def warm_cpu_ms(server: Server, mode: str, texts: list[str]) -> float:
    server.search(texts[0], mode)
    before = server.cpu_s()
    for text in texts[1 : WARM + 1]:
        server.search(text, mode)
    return (server.cpu_s() - before) * 1000 / WARM


def hammered(server: Server, texts: list[str], searches: int = SEARCHES, modes: Sequence[str] = MODES) -> list[int]:
    """Return the statuses of searches by CLIENTS clients at once, the modes in turn."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [(texts[n % len(texts)], modes[n % len(modes)]) for n in range(searches)]
        return list(clients.map(lambda pair: server.search(*pair)[0], asked))


def main() -> None:
    instance = prepared()
    texts = [row["text"] for row in rows("heq_queries")]
    with served(instance) as server:
        at_rest = server.pss_mb()
        health = json.loads(server.get("/health")[1])
        first = first_semantic_s(server)
        spent = {mode: warm_cpu_ms(server, mode, texts[n * 150 :]) for n, mode in enumerate(MODES)}
        statuses = hammered(server, texts[600:])
        loaded = server.pss_mb()
        peaks = server.stop()
    failed = sum(status >= 500 for status in statuses)
    figures = [
        Figure("documents", health["documents"]),
        Figure("at rest, PSS of all processes", round(at_rest, 1), "MB", "<= 90"),
        Figure("model loaded at rest", float(health["model_loaded"]), "", "<= 0"),
        Figure("first semantic search", round(first, 2), "s", "<= 1.5"),
        *[
            Figure(f"warm {mode} search, whole request", round(ms, 1), "CPU ms", "<= 30" if mode == "semantic" else "")
            for mode, ms in spent.items()
        ],
        Figure(f"{SEARCHES} searches by {CLIENTS} clients: answers 5xx", failed, "", "<= 0"),
        Figure("with the model, PSS of all processes", round(loaded, 1), "MB"),
        Figure("peak anonymous memory", peaks["peak_anonymous_mb"], "MB", "<= 200"),
        Figure("killed for memory", peaks["oom_kills"], "", "<= 0"),
    ]
    tell(figures)


if __name__ == "__main__":
    main()
