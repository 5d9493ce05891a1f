"""Two workers on a host of 1 GB, AlephBERT's shape loaded in both: is a second one affordable, and what for?"""

from __future__ import annotations

import time

import psutil

from benchmarks.alephbert import MODEL, prepared, questions
from benchmarks.figures import Figure, tell
from benchmarks.server import MODES, Server, hammered, served
from utils.memory import MB, process_memory

LIMIT, WORKERS, SEARCHES, LOADED_S = "1G", 2, 600, 60.0


def meet(server: Server) -> None:
    """Note every process: the first answer may come before the second worker is there."""
    until = time.monotonic() + LOADED_S
    while len(server.family) < WORKERS + 1 and time.monotonic() < until:
        started = psutil.Process(server.process.pid).children(recursive=True)
        server.family = [one for one in started if "gunicorn" in " ".join(one.cmdline())]


def load_everywhere(server: Server, texts: list[str]) -> None:
    """Search until every worker holds the model; raises RuntimeError where one never does."""
    until = time.monotonic() + LOADED_S
    while holding(server) < WORKERS:
        if time.monotonic() > until:
            raise RuntimeError("not every worker loaded the model")
        hammered(server, texts, 40, ("semantic",))


def holding(server: Server) -> int:
    """Return how many processes have the model's runtime in memory."""
    found = (one.memory_maps() for one in server.family)
    return sum(any("onnxruntime" in part.path for part in parts) for parts in found)


def main() -> None:
    texts = questions()
    with served(prepared("sqlite"), LIMIT, GUNICORN_WORKERS=str(WORKERS), **MODEL) as server:
        meet(server)
        at_rest = server.pss_mb()
        load_everywhere(server, texts)
        began, before = time.monotonic(), server.cpu_s()
        statuses = hammered(server, texts[100:], SEARCHES, MODES)
        took, spent = time.monotonic() - began, server.cpu_s() - before
        each = sorted(one.pss / MB for one in map(process_memory, (one.pid for one in server.family)) if one)
        peaks = server.stop()
    tell(
        [
            Figure("two workers: at rest, PSS of all processes", round(at_rest, 1), "MB"),
            Figure(
                f"two workers, both with the model, after {SEARCHES} searches: PSS in all", round(sum(each), 1), "MB"
            ),
            Figure("two workers: PSS of the larger one", round(each[-1], 1), "MB"),
            Figure("two workers: PSS of the master", round(each[0], 1), "MB"),
            Figure("two workers: a search of any mode", round(spent * 1000 / SEARCHES, 1), "CPU ms"),
            Figure("two workers: searches a second", round(SEARCHES / took, 1)),
            Figure("two workers: peak anonymous memory", peaks["peak_anonymous_mb"], "MB", "<= 600"),
            Figure("two workers: answers 5xx", sum(status >= 500 for status in statuses), "", "<= 0"),
            Figure("two workers: killed for memory", peaks["oom_kills"], "", "<= 0"),
        ]
    )


if __name__ == "__main__":
    main()
