"""A full disk under SQLite."""

from __future__ import annotations

from pathlib import Path

import psutil

from benchmarks.figures import Figure
from benchmarks.load import GOOD, SECRETS, Load
from tests.conftest import migrate
from tests.servers import Server


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
        Figure("with room again: writes taken, of 10", sum(one in GOOD for one in after), "", ">= 10"),
        Figure("full disk: acknowledged writes that are not there", len(load.written) - found, "", "<= 0"),
    ]
