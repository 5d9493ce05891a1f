"""The operator's figures: the same on the page, as JSON and for Prometheus, and honest about what is not there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from config import ROOT
from encoders.lazy import LazyEncoder
from models import Base, db, model_number
from operations.figures import Watch, flat_numbers, memory_parts
from operations.memory import ADVICE, CRITICAL, HIGH, level, memory_advice
from operations.metrics import CONTENT_TYPE
from operations.processes import ProcessFigures, figures_of, is_server, process_family
from runtime import runtime_of
from search.semantic import Semantic
from tests.collections import fill
from tests.commands import environment
from tests.conftest import closed, settings_for, sqlite_alone
from tests.fakes import HashedWords
from tests.markup import Page
from tests.semantic_side import use_semantic
from tests.visits import operator
from utils.memory import MB

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Event:
    """A row as the guard keeps it."""

    at: float
    kind: str
    used_mb: float
    limit_mb: float


@dataclass
class Guard:
    """A guard that did what it is told to have done."""

    events: deque[Event] = field(default_factory=deque)
    counts: dict[str, int] = field(default_factory=dict)
    left_s: float = 0.0

    def text_only_left_s(self) -> float:
        return self.left_s


database = sqlite_alone  # the pool and the counts are the same for both


@pytest.fixture
def filled(app: Flask) -> Flask:
    """The app over a small collection, its model loaded and asked."""
    with app.app_context():
        use_semantic(app, fill(db.session()))
    assert operator(app).get("/api/search?q=good+bread&mode=semantic").status_code == 200
    return app


def watch(app: Flask) -> Watch:
    found: Watch = runtime_of(app).watch
    return found


def told(client: FlaskClient, path: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(path).get_json()
    return found


def metrics(client: FlaskClient) -> Samples:
    """Return every sample of /metrics, read by Prometheus' own parser."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    families = list(text_string_to_metric_families(answer.get_data(as_text=True)))
    names = [one.name for one in families]
    assert len(names) == len(set(names))
    assert all(name.startswith("matmon_") for name in names)
    assert all(one.documentation and one.type in ("gauge", "counter") for one in families)
    rows = [(one.name, frozenset(one.labels.items()), one.value) for found in families for one in found.samples]
    assert len({row[:2] for row in rows}) == len(rows)
    return {(name, labels): value for name, labels, value in rows}


def value(found: Samples, name: str, **labels: str) -> float:
    """Return the one sample of a name with these labels among its own."""
    (only,) = [
        one for (key, own), one in found.items() if key == f"matmon_{name}" and labels.items() <= dict(own).items()
    ]
    return only


def test_the_same_figures_everywhere(filled: Flask) -> None:
    client = operator(filled)
    health, memory = told(client, "/api/monitoring/health"), told(client, "/api/monitoring/memory")
    short, found = told(client, "/health"), metrics(client)
    limit = short["memory"]["limit_mb"]
    assert limit == health["memory"]["limit_mb"] == memory["limit_mb"] == value(found, "memory_limit_bytes") / MB
    for other in (health["memory"]["used_mb"], memory["used_mb"], value(found, "memory_used_bytes") / MB):
        assert other == pytest.approx(short["memory"]["used_mb"], rel=0.1)
    assert health["documents"]["documents"] == short["documents"] == value(found, "documents") > 0
    embedded = short["documents_with_embeddings"]
    assert health["documents"]["with_embeddings"] == embedded == value(found, "documents_with_embeddings")
    assert health["documents"]["waiting"] == value(found, "documents_waiting") == short["documents"] - embedded
    for name in ("name", "state", "loaded"):
        assert memory["model"][name] == health["model"][name] == short["model"][name]
    assert value(found, "model_state", state="ready") == 1
    assert sum(one for (name, _), one in found.items() if name == "matmon_model_state") == 1
    for name, held in memory["index"].items():
        assert value(found, "index_rows", index=name) == held["rows"]
        assert value(found, "index_bytes", index=name) == held["bytes"]
    assert memory["index"]["documents"]["bytes"] > 0
    assert value(found, "database_connections", state="most") == memory["pool"]["most"] == 5
    assert value(found, "searches_total", mode="semantic") == health["searches"]["semantic"]["count"] == 1
    assert (
        memory["caches"]["rate_limit_clients"] == value(found, "cache", figure="rate_limit_clients") == 3
    )  # by kind of limit


def test_parts_add_up_to_what_is_used(filled: Flask) -> None:
    found = told(operator(filled), "/api/monitoring/memory")
    assert sum(found["parts"].values()) == pytest.approx(found["used_mb"], abs=0.1)
    assert found["parts"]["index"] * MB == pytest.approx(
        sum(one["bytes"] for one in found["index"].values()), abs=MB / 100
    )
    assert memory_parts(10.0, 20.0, 1.0, 1.0)["application"] == 0.0


def test_memory_is_told_without_the_database_and_metrics_say_that_it_is_gone(filled: Flask) -> None:
    client = operator(filled)
    with filled.app_context():
        db.session.remove()
        Base.metadata.drop_all(db.engine)
    assert client.get("/api/monitoring/memory").status_code == 200
    found = metrics(client)
    assert value(found, "database_up") == 0
    assert not [name for name, _ in found if "documents" in name]
    health = client.get("/api/monitoring/health")
    assert (health.status_code, health.get_json()["status"], health.get_json()["documents"]) == (503, "error", None)


def test_memory_asks_no_statement(filled: Flask) -> None:
    asked: list[str] = []
    with filled.app_context():
        engine = db.engine
    db.event.listen(engine, "before_cursor_execute", lambda *row: asked.append(row[2]))
    operator(filled).get("/api/monitoring/memory?samples=9")
    assert asked == []


def test_a_page_of_status_does_not_count_its_own_connection(app: Flask) -> None:
    client = operator(app)
    for _ in range(2):
        text = Page(client.get("/status?lang=en").get_data(as_text=True)).text
        assert "Connections at work 0 of 5" in text


def test_a_connection_at_work_is_counted(app: Flask) -> None:
    with app.app_context(), db.engine.connect(), db.engine.connect():
        pool = watch(app).figures().pool
    assert (pool.in_use, pool.open, pool.size, pool.most) == (2, 2, 2, 5)


def test_without_a_guard_it_is_said_that_there_is_none(app: Flask) -> None:
    runtime_of(app).watch.guard = None
    client = operator(app)
    assert told(client, "/api/monitoring/memory")["guard"] == {
        "on": False, "events": [], "text_only_left_s": 0.0,
        "counts": {"caches_dropped": 0, "model_given_back": 0, "text_only_over": 0},
    }  # fmt: skip
    assert "The guard is not running" in client.get("/status?lang=en").get_data(as_text=True)
    assert value(metrics(client), "guard_events_total", kind="caches_dropped") == 0


def test_what_the_guard_did_is_told_newest_first(app: Flask) -> None:
    now = time.time()
    events = deque(
        Event(now - ago, kind, 440.5, 512.0) for ago, kind in ((900, "caches_dropped"), (600, "model_given_back"))
    )
    runtime_of(app).watch.guard = Guard(events, {"caches_dropped": 4, "model_given_back": 1}, left_s=61.0)  # type: ignore[assignment]
    client = operator(app)
    guard = told(client, "/api/monitoring/memory")["guard"]
    assert [one["kind"] for one in guard["events"]] == ["model_given_back", "caches_dropped"]
    assert guard["counts"] == {"caches_dropped": 4, "model_given_back": 1, "text_only_over": 0}
    health = told(client, "/api/monitoring/health")
    assert (health["status"], health["text_only_left_s"]) == ("degraded", 61.0)
    found = metrics(client)
    assert value(found, "guard_events_total", kind="caches_dropped") == 4
    assert value(found, "text_only_left_seconds") == 61
    page = Page(client.get("/status?lang=en").get_data(as_text=True))
    assert "the model was unloaded 10 minutes ago · at 440.5 MB of 512 MB" in page.text
    assert "keyword search only, for another 1 minute" in page.text
    assert [one["class"] for one in page.all("g")] == ["mark mark-model_given_back", "mark mark-caches_dropped"]


def test_caches_are_told_by_name_and_their_bytes_are_a_part(app: Flask) -> None:
    class Caching(Semantic):
        def cache_figures(self) -> dict[str, Any]:
            return {"queries": {"entries": 3, "bytes": 3 * MB, "on": True}, "hits": 7}

    use_semantic(app, Caching(LazyEncoder(None, "none")))
    found = told(operator(app), "/api/monitoring/memory")
    assert found["caches"] == {"queries_entries": 3, "queries_bytes": 3 * MB, "hits": 7, "rate_limit_clients": 1}
    assert found["parts"]["caches"] == 3.0
    assert dict(flat_numbers({"a": {"b": {"c": 1}}, "d": "text", "e": None})) == {"a_b_c": 1}


def test_a_model_says_when_it_was_used_and_when_it_is_given_back(database: str, tmp_path: Path) -> None:
    made = HashedWords.manifest
    app = create_app(settings_for(database, tmp_path, model_idle_s=600))
    lazy = LazyEncoder(HashedWords, made.name)
    side = use_semantic(app, Semantic(lazy, model_number(made.name, made.checksum)))
    client = operator(app)
    before = told(client, "/api/monitoring/memory")["model"]
    assert (before["state"], before["unused_s"], before["given_back_in_s"]) == ("idle", None, None)
    assert side.lazy.load(20)
    after = told(client, "/api/monitoring/memory")["model"]
    assert after["state"] == "ready"
    assert after["unused_s"] + after["given_back_in_s"] == pytest.approx(600, abs=0.2)
    assert "Unloads when unused" in client.get("/status?lang=en").get_data(as_text=True)
    assert value(metrics(client), "model_given_back_in_seconds") > 500
    closed(app)


def test_a_model_that_is_never_given_back_says_so(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path, model_idle_s=0))
    side = use_semantic(app, Semantic(LazyEncoder(HashedWords, "words")))
    assert side.lazy.load(20)
    client = operator(app)
    assert told(client, "/api/monitoring/memory")["model"]["given_back_in_s"] is None
    assert "when unused never" in Page(client.get("/status?lang=en").get_data(as_text=True)).text
    closed(app)


@pytest.mark.parametrize(("share", "expected"), [(0.5, "fine"), (0.87, "high"), (1.5, "critical")])
def test_the_verdict_follows_the_share_and_comes_with_advice(
    database: str, tmp_path: Path, share: float, expected: str
) -> None:
    used = watch(create_app(settings_for(database, tmp_path))).memory().used_mb
    app = create_app(settings_for(database, tmp_path, memory_limit_mb=round(used / share)))
    client = operator(app)
    found = told(client, "/api/monitoring/memory")
    assert found["level"] == expected
    assert bool(found["advice"]) == (expected != "fine")
    assert told(client, "/api/monitoring/health")["status"] == ("ok" if expected == "fine" else "degraded")
    page = Page(client.get("/status?lang=en").get_data(as_text=True))
    assert page.all("p", class_=f"verdict-{expected}")
    assert len(page.all("ol", class_="advice")) == (expected != "fine")
    closed(app)


def test_levels_begin_above_their_shares() -> None:
    assert [level(one) for one in (0.0, HIGH, 0.801, CRITICAL, 0.951, 9.0)] == [
        "fine", "fine", "high", "high", "critical", "critical",
    ]  # fmt: skip


def test_advice_fits_the_site() -> None:
    assert list(memory_advice("fine", 4, "e5-small")) == []
    assert list(memory_advice("high", 1, "none")) == ["pool"]
    assert list(memory_advice("critical", 2, "e5-small")) == ["workers", "idle", "batch", "pool", "none", "plan"]
    assert set(memory_advice("critical", 2, None)) == set(ADVICE)


def test_the_page_says_every_advice_in_hebrew_too(app: Flask) -> None:
    template = (ROOT / "templates" / "_hour.html").read_text(encoding="utf-8")
    assert all(f'"{name}": _("{said}")' in template for name, said in ADVICE.items())


def test_one_sample_for_the_page_is_made_where_there_is_no_history(app: Flask) -> None:
    page = Page(operator(app).get("/status?lang=en").get_data(as_text=True))
    assert re.search(r"1 hour ago 30 minutes ago now", page.text)
    assert page.all("path", class_="hour-top")
    assert watch(app).history.samples() == []


def test_a_page_with_a_full_hour_stays_light(app: Flask) -> None:
    now = watch(app).sample()
    for number in range(240):
        past = {name: getattr(now, name) + number % 7 for name in ("used_mb", "model_mb", "index_mb")}
        watch(app).history.add(type(now)(**(vars_of(now) | past | {"at": now.at - 15 * (239 - number)})))
    assert len(operator(app).get("/status").get_data()) < 45_000


def vars_of(sample: Any) -> dict[str, float]:
    return {name: getattr(sample, name) for name in sample.__slots__}


def test_metrics_leave_nothing_behind_in_the_library(filled: Flask) -> None:
    metrics(operator(filled))
    assert not [one.name for one in REGISTRY.collect() if one.name.startswith("matmon")]


def test_the_library_for_metrics_comes_with_the_first_scrape(database: str, tmp_path: Path) -> None:
    visit = """
import json, sys
from app import app
client = app.test_client()
before = [client.get(path).status_code for path in ("/status", "/api/monitoring/memory", "/health")]
found = {"before": before, "early": "prometheus_client" in sys.modules}
found["metrics"] = client.get("/metrics").status_code
print(json.dumps(found | {"late": "prometheus_client" in sys.modules}))
"""
    run = [sys.executable, "-W", "error", "-c", visit]
    known = environment(settings_for(database, tmp_path))
    ended = subprocess.run(run, cwd=ROOT, env=known, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == {"before": [200] * 3, "early": False, "metrics": 200, "late": True}


def test_a_process_that_serves_nobody_is_alone_whatever_it_started() -> None:
    import psutil

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = figures_of(process_family(psutil.Process()))
        assert [one.role for one in found] == ["alone"]
        assert not is_server(psutil.Process(child.pid))
        child.communicate(b"\n")
    assert figures_of([psutil.Process()])[0].counted_mb > 10


def test_a_process_counts_by_the_best_figure_there_is() -> None:
    assert ProcessFigures(1, "alone", 30.0, 20.0, 10.0).counted_mb == 20.0
    assert ProcessFigures(1, "alone", 30.0, None, 10.0).counted_mb == 10.0
    assert ProcessFigures(1, "alone", 30.0).counted_mb == 30.0
    assert ProcessFigures(1, "alone", None).counted_mb == 0.0
