"""A site whose model is on another host, and that host stopped, hung and started again."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fault_place import MODEL, Place, standing
from benchmarks.figures import Figure
from benchmarks.load import GOOD, QUIET_S, Load, tally, under_load
from tests.model_hosts import ModelHost
from tests.waiting import until

AWAY_S, PATIENCE_S = 6.0, 60.0
RETRY = {"MODEL_RETRY_SECONDS": "2"}  # a minute by default, for which no benchmark waits


@contextlib.contextmanager
def stood_still(host: ModelHost) -> Iterator[None]:
    for one in host.family():
        one.suspend()
    try:
        yield
    finally:
        for one in host.family():
            one.resume()


def with_a_model_host(folder: Path) -> list[Figure]:
    host = ModelHost(folder, (), MODEL)
    try:
        host.starts()
        remote = {"SEMANTIC_MODEL": "remote", "EMBEDDINGS_URL": host.url, "EMBEDDINGS_MODEL": "e5-small", **RETRY}
        with standing(folder, remote) as place, under_load(place.site) as load:
            time.sleep(QUIET_S)
            began = time.monotonic()
            with stood_still(host):
                time.sleep(AWAY_S)
            figures = suffered("model host hung", place, load, began)
            began = time.monotonic()
            for one in host.family():
                one.kill()
            time.sleep(AWAY_S)
            host = restarted(folder, host)
            figures += suffered("model host killed", place, load, began)
            load.over.set()
            time.sleep(1)
            figures.append(Figure("model host: acknowledged writes that are not there", place.lost(load), "", "<= 0"))
    finally:
        if host.process.poll() is None:
            host.stop()
    return figures


def restarted(folder: Path, host: ModelHost) -> ModelHost:
    """Return a new host at the same port, its model loaded."""
    host.process.wait()
    again = ModelHost(folder, (), MODEL, port=host.port)
    again.starts()
    again.post("/v1/embeddings", {"model": "e5-small", "input": ["query: לחם"]})
    return again


def suffered(name: str, place: Place, load: Load, began: float) -> list[Figure]:
    """Return how long the site went without meaning after the host was back, and what visitors got meanwhile."""
    undone = time.monotonic()
    until(lambda: meant(place), "meaning", PATIENCE_S)
    back = time.monotonic()
    asked = load.since(began)
    print(f"{name}: {tally(asked)}", file=sys.stderr)
    return [
        Figure(f"{name}: searches by meaning again after it was over", round(back - undone, 1), "s", "<= 10"),
        Figure(f"{name}: requests that failed", sum(one.status not in GOOD for one in asked), "", "<= 0"),
    ]


def meant(place: Place) -> bool:
    """Tell whether a text that nobody asked before is answered by its meaning."""
    return bool(place.site.search(f"לחם {time.monotonic()}", "semantic")["semantic"]["state"] == "ready")
