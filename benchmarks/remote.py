"""A site whose model is on another host: what each of the two takes, AlephBERT's shape, 20,000 documents."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from benchmarks.alephbert import MODEL, prepared, questions
from benchmarks.figures import ROOT, WORK, Figure, tell
from benchmarks.server import MODES, first_semantic_s, hammered, served, warm_cpu_ms
from utils.memory import MB, process_memory

SEARCHES, START_S = 600, 40.0


class ModelHost:
    """`flask serve-embeddings` without a limit; its processes."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        given = os.environ | MODEL | {"INSTANCE_DIR": str(WORK / "model-host")}
        command = [sys.executable, "-m", "flask", "--app", "app", "serve-embeddings", "--port", str(self.port)]
        log = (WORK / "model-host.log").open("w")
        self.process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)

    def wait(self) -> None:
        until = time.monotonic() + START_S
        while not self.answers():
            if time.monotonic() > until:
                raise RuntimeError("the model host did not start")
            time.sleep(0.1)

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def family(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def pss_mb(self) -> float:
        return sum(one.pss / MB for one in map(process_memory, (one.pid for one in self.family())) if one)

    def cpu_s(self) -> float:
        return sum(sum(one.cpu_times()[:2]) for one in self.family())


@contextmanager
def model_host() -> Iterator[ModelHost]:
    host = ModelHost()
    try:
        host.wait()
        yield host
    finally:
        host.process.terminate()
        host.process.wait(START_S)


def main() -> None:
    texts = questions()
    with model_host() as host:
        url = f"http://127.0.0.1:{host.port}"
        idle = host.pss_mb()
        with served(prepared("sqlite"), SEMANTIC_MODEL="remote", EMBEDDINGS_URL=url) as server:
            at_rest = server.pss_mb()
            first = first_semantic_s(server)
            before = host.cpu_s()
            spent = warm_cpu_ms(server, "semantic", texts)
            there = (host.cpu_s() - before) * 10
            statuses = hammered(server, texts[150:], SEARCHES, MODES)
            loaded = server.pss_mb()
            peaks = server.stop()
        host_loaded = host.pss_mb()
    tell(
        [
            Figure("remote: the site at rest, PSS of all processes", round(at_rest, 1), "MB", "<= 90"),
            Figure("remote: first search by meaning", round(first, 2), "s"),
            Figure("remote: warm semantic search, here", round(spent, 1), "CPU ms"),
            Figure("remote: warm semantic search, on the model host", round(there, 1), "CPU ms"),
            Figure(f"remote: the site after {SEARCHES} searches, PSS", round(loaded, 1), "MB"),
            Figure("remote: the site's peak anonymous memory", peaks["peak_anonymous_mb"], "MB"),
            Figure("remote: the model host before its first text, PSS", round(idle, 1), "MB"),
            Figure("remote: the model host with the model, PSS", round(host_loaded, 1), "MB"),
            Figure("remote: answers 5xx", sum(status >= 500 for status in statuses), "", "<= 0"),
        ]
    )


if __name__ == "__main__":
    main()
