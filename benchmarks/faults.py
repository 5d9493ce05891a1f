"""Faults under load, PostgreSQL and Redis, in a hard 512 MB: what was acknowledged is there, and the site is back.

Twenty requests a second, a quarter of them writes, a third of the others by meaning; each fault is done to the real
thing. Then the same with a clock that jumps, with the model on another host, and SQLite on a full disk.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.fault_clock import with_a_clock_that_jumps
from benchmarks.fault_disk import on_a_full_disk
from benchmarks.fault_kinds import FAULTS, UNSEEN
from benchmarks.fault_model import with_a_model_host
from benchmarks.fault_place import Place, standing
from benchmarks.fault_stop import stopped_in_a_search
from benchmarks.figures import WORK, Figure, tell
from benchmarks.load import GOOD, QUIET_S, Load, tally, under_load


def suffered(place: Place, load: Load, fault: Callable[[Place], None]) -> list[Figure]:
    """Return how a fault went: seconds until all was well again, and what visitors got meanwhile and afterwards."""
    time.sleep(QUIET_S)
    began = time.monotonic()
    fault(place)
    name = fault.__name__.replace("_", " ")
    return [*judged(name, load, began, time.monotonic()), *unseen(name, load, began, fault)]


def judged(name: str, load: Load, began: float, undone: float) -> list[Figure]:
    back = load.well_since(undone)
    meanwhile = [one for one in load.since(began) if one.ended < back]
    after = load.since(back)
    print(f"{name}: back after {back - undone:.1f} s; meanwhile {tally(meanwhile)}", file=sys.stderr)
    wrong = [one for one in meanwhile if one.status >= 500 and one.status != 503]
    return [
        Figure(f"{name}: back after it was over", round(back - undone, 1), "s", "<= 10"),
        Figure(f"{name}: answered meanwhile, a second", round(len(meanwhile) / max(back - began, 0.1), 1), "/s"),
        Figure(f"{name}: 5xx other than 503 meanwhile", len(wrong), "", "<= 0"),
        Figure(f"{name}: failures afterwards", sum(one.status not in GOOD for one in after), "", "<= 0"),
    ]


def unseen(name: str, load: Load, began: float, fault: Callable[[Place], None]) -> list[Figure]:
    """Return how many requests failed in a fault that nobody may notice."""
    if fault not in UNSEEN:
        return []
    failed = sum(one.status not in GOOD for one in load.since(began))
    return [Figure(f"{name}: requests that failed", failed, "", "<= 0")]


def on_postgresql(folder: Path) -> list[Figure]:
    with standing(folder) as place:
        with under_load(place.site) as load:
            figures = [one for fault in FAULTS for one in suffered(place, load, fault)]
            time.sleep(QUIET_S)
            began = time.monotonic()
            figures += stopped_in_a_search(place, load)
            figures += judged("SIGTERM in a search", load, began, time.monotonic())
        lost = place.lost(load)
        place.stop()
        peak, kills = max(place.peaks), place.kills
    return [
        *figures,
        Figure("acknowledged writes", len(load.written)),
        Figure("acknowledged writes that are not there", lost, "", "<= 0"),
        Figure("peak anonymous memory", peak, "MB"),
        Figure("killed for memory", kills, "", "<= 0"),
    ]


def main() -> None:
    folder = WORK / "faults"
    shutil.rmtree(folder, ignore_errors=True)
    figures = []
    for part in (on_postgresql, with_a_clock_that_jumps, with_a_model_host, on_a_full_disk):
        own = folder / part.__name__
        own.mkdir(parents=True)
        figures += part(own)
    tell(figures)


if __name__ == "__main__":
    main()
