"""The hour's samples: bounded, in order, taken by one thread in the process that serves, and the picture of them."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest

from app import create_app
from config import ROOT
from operations.guard import Event
from operations.history import EVERY_S, HEADROOM, HEIGHT, HOUR_S, KEPT, History, MemorySample, chart
from tests.conftest import closed, settings_for
from tests.processes import child
from tests.servers import environment, free_port, serving
from tests.waiting import until

NOW = MemorySample(0.0, 100.0, 512.0, 80.0, 40.0, 6.0, 2.0)


def sample(ago_s: float = 0.0, **changes: float) -> MemorySample:
    return replace(NOW, at=time.time() - ago_s, **changes)


def history() -> History:
    return History(sample)


def test_an_hour_is_kept_and_no_more() -> None:
    kept = history()
    assert (EVERY_S, KEPT, HOUR_S) == (15, 240, 3600)
    for number in range(3 * KEPT):
        kept.add(sample(used_mb=float(number)))
    assert [one.used_mb for one in kept.samples()] == [float(number) for number in range(2 * KEPT, 3 * KEPT)]
    held = sum(column.itemsize * len(column) for column in kept._columns.values())
    assert held == KEPT * 32 == 7_680


def test_samples_come_oldest_first_and_as_they_were_taken() -> None:
    kept = history()
    given = [sample(30.0, used_mb=120.25), sample(15.0, model_mb=0.0), sample()]
    for one in given:
        kept.add(one)
    assert kept.samples() == given
    assert kept.samples(2) == given[1:]
    assert kept.samples(99) == given
    assert kept.samples(0) == []


def test_what_is_older_than_an_hour_is_not_told() -> None:
    kept = history()
    kept.add(sample(HOUR_S + 1))
    kept.add(sample(HOUR_S - 60))
    assert len(kept.samples()) == 1


def test_however_many_start_it_one_thread_looks() -> None:
    looks: list[str] = []

    def look() -> MemorySample:
        looks.append(threading.current_thread().name)
        return sample()

    kept = History(look, every_s=3_600)
    starts = [threading.Thread(target=kept.start) for _ in range(8)]
    for one in starts:
        one.start()
    for one in starts:
        one.join()
    until(kept.samples, "the first sample")
    assert looks == ["memory-history"]


def test_a_look_that_fails_is_logged_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    left = [OSError("the control group is gone")]

    def look() -> MemorySample:
        if left:
            raise left.pop()
        return sample()

    kept = History(look, every_s=0.01, kept=1_000)
    with caplog.at_level(logging.ERROR):
        kept.start()
        until(kept.samples, "a sample after the fault")
    assert "Memory could not be sampled" in caplog.text
    assert "the control group is gone" in caplog.text


def test_making_the_app_starts_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    app = create_app(settings_for(f"sqlite:///{tmp_path}/a.db", tmp_path))
    app.test_client().get("/api/monitoring/memory")
    assert {one.name for one in set(threading.enumerate()) - before} == set()
    closed(app)


def test_a_worker_of_gunicorn_begins_by_itself(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        found = until(lambda: told_by(server.port), "a sample")
    assert 20 < found[0]["used_mb"] < found[0]["limit_mb"]


def told_by(port: int) -> list[dict[str, float]]:
    """Return the newest sample of a server, if it answers and has one."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/api/monitoring/memory?samples=1", timeout=20) as answer:
            found: list[dict[str, float]] = json.load(answer)["history"]["samples"]
    except OSError:
        return []
    return found


def test_flask_run_begins_with_its_first_request(tmp_path: Path) -> None:
    port = free_port()
    run = [sys.executable, "-m", "flask", "--app", "app", "run", "--port", str(port)]
    settings = environment(tmp_path)
    with (
        (tmp_path / "log").open("wb") as log,
        child(run, cwd=ROOT, env=settings, stdout=log, stderr=log),
    ):
        until(lambda: told_by(port), "a sample of flask run")


def points(path: str) -> list[tuple[int, int]]:
    found = [tuple(map(int, point.split())) for point in re.split("[MLZ]+", path) if point]
    return [(x, y) for x, y in found]


def test_the_picture_stacks_the_parts_up_to_what_is_used() -> None:
    found = chart([sample(15.0), sample()])
    unit = HEIGHT / (512 * HEADROOM)
    top = {name: min(y for _, y in points(path)) for name, path in found.areas.items()}
    assert top["application"] == pytest.approx(HEIGHT - 52 * unit, abs=1)
    assert top["model"] == pytest.approx(HEIGHT - 92 * unit, abs=1)
    assert top["kept"] == pytest.approx(HEIGHT - 100 * unit, abs=1)
    assert points(found.top) == [(3585, top["kept"]), (3600, top["kept"])]


def test_the_limit_stays_in_the_picture_and_so_does_what_is_beyond_it() -> None:
    for used in (1.0, 511.0, 5_000.0):
        found = chart([sample(used_mb=used)])
        assert all(0 < level.y < 100 for level in found.levels)
        assert all(0 <= y <= HEIGHT and 0 <= x <= HOUR_S for x, y in points(found.top))
        assert found.peak_mb == used
    assert [one.name for one in found.levels] == ["limit", "high", "half"]


def test_where_nothing_was_looked_at_nothing_is_drawn() -> None:
    found = chart([sample(1_000.0), sample(985.0), sample(15.0), sample()])
    assert found.top.count("M") == 2
    assert chart([sample(60.0), sample(45.0), sample()]).top.count("M") == 1


def test_a_part_that_is_nothing_has_no_shape() -> None:
    found = chart([sample(model_mb=0.0, index_mb=0.0, caches_mb=0.0)])
    assert found.areas["model"] == ""
    assert found.areas["application"]


def test_one_sample_is_a_picture() -> None:
    assert [x for x, _ in points(chart([sample()]).top)] == [3585, 3600]


def test_marks_stand_where_the_guard_did_something() -> None:
    now = time.time()
    events = [Event(now - ago, "caches_dropped", 440.0, 512.0) for ago in (1_800.0, HOUR_S + 60)]
    found = chart([sample()], events)
    assert [mark.x for mark in found.marks] == [pytest.approx(50, abs=0.1)]


def test_the_rows_are_five_minutes_apart_and_the_newest_comes_first() -> None:
    found = chart([sample(15.0 * number) for number in reversed(range(KEPT))])
    assert len(found.rows) == 12
    assert found.rows[0].at > found.rows[1].at > found.rows[-1].at
