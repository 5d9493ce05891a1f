"""The site with a Redis: its faults cost a moment and no answer, and the status tells them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from models import db
from runtime import runtime_of
from tests.collections import fill
from tests.conftest import closed, settings_for, sqlite_alone
from tests.described import check
from tests.redis_server import RedisServer, answering, redis_server
from tests.semantic_side import use_semantic
from tests.test_redis_cache import another_answer, flood, http
from tests.visits import BEARER, operator
from tests.waiting import until

PATHS = (
    "/?q=bread",
    "/text?q=bread",
    "/semantic?q=bread",
    "/tags?tag=זכויות",
    "/api/search?q=bread",
    "/documents/bread",
)
FOUND = [["bread", "cache"]]
GENEROUS_S = 3.0  # for all paths together


database = sqlite_alone  # what the Redis does has nothing to do with the database
server = redis_server


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    made: list[Flask] = []

    def of(url: str, **changes: object) -> Flask:
        app = create_app(settings_for(database, tmp_path, redis_url=url, rate_limit="9999/minute", **changes))
        made.append(app)
        with app.app_context():
            own = runtime_of(app).semantic
            use_semantic(app, fill(db.session()))
            runtime_of(app).semantic.shared = own.shared
        shared = runtime_of(app).shared_cache
        assert shared
        shared.breaker.rest_s = 0.05
        shared.connect()
        return app

    yield of
    for app in made:
        if shared := runtime_of(app).shared_cache:
            shared.close()
        closed(app)


def redis_told(client: FlaskClient) -> dict[str, object]:
    told: dict[str, object] = check(client.get("/api/monitoring/health"), "monitoringHealth", 200)["redis"]
    return told


def told(client: FlaskClient, state: str, fault: str = "") -> Callable[[], bool]:
    def is_so() -> bool:
        found = redis_told(client)
        return (found["state"], found["fault"]) == (state, fault)

    return is_so


def answers(client: FlaskClient) -> list[object]:
    """Ask every path, which must all answer in time, and return what they found."""
    began = time.monotonic()
    found = [client.get(path) for path in PATHS]
    assert time.monotonic() - began < GENEROUS_S
    assert [one.status_code for one in found] == [200] * len(PATHS)
    return [[hit["id"] for hit in one.get_json()["hits"]] for one in found if one.is_json]


def test_answers_are_shared_and_the_status_counts_them(site: Callable[..., Flask], server: RedisServer) -> None:
    client = operator(site(server.url))
    until(told(client, "connected"), "a connection")
    first = answers(client)
    assert answers(client) == first == FOUND
    counts = redis_told(client)["counts"]
    assert isinstance(counts, dict)
    assert (counts["results_hits"], counts["results_misses"]) == (6, 4)  # the page and the API ask the same
    assert counts["embeddings_misses"] == 1
    page = client.get("/status?lang=en").get_data(as_text=True)
    assert "connected" in page
    metrics = client.get("/metrics").get_data(as_text=True)
    assert "matmon_redis_up" in metrics
    assert 'event="results_hits"' in metrics


@pytest.mark.parametrize("fault", ["killed", "held up", "full", "flushed", "another password"])
def test_a_fault_costs_no_answer_and_goes_by_itself(
    site: Callable[..., Flask], server: RedisServer, fault: str
) -> None:
    client = operator(site(server.url))
    until(told(client, "connected"), "a connection")
    right = answers(client)
    admin = server.client
    if fault == "killed":
        server.kill()
        assert answers(client) == right
        until(told(client, "away", "unreachable"), "the fault")
        server.start()
    elif fault == "held up":
        with server.held_up():
            assert answers(client) == right
            until(told(client, "away", "slow"), "the fault")
            assert "does not answer in time" in client.get("/status?lang=en").get_data(as_text=True)
    elif fault == "full":
        admin.config_set("maxmemory", "1")
        assert answers(client) == right
        assert client.get("/text?q=soup").status_code == 200
        until(told(client, "connected", "full"), "the fault")
        admin.config_set("maxmemory", "0")
        assert client.get("/text?q=cache").status_code == 200
    elif fault == "flushed":
        admin.flushall()
        assert answers(client) == right
    else:
        admin.config_set("requirepass", "secret")
        admin.client_kill_filter(_type="normal", skipme=True)
        assert answers(client) == right
        until(told(client, "away", "password"), "the fault")
        admin.config_set("requirepass", "")
    until(told(client, "connected"), "that it came back")
    assert answers(client) == right


@pytest.mark.parametrize("answer", [http, flood, another_answer], ids=lambda one: one.__name__)
def test_what_is_no_redis_costs_no_answer(site: Callable[..., Flask], answer: Callable[..., None]) -> None:
    with answering(answer) as url:
        client = operator(site(url))
        assert answers(client) == answers(client) == FOUND
        until(lambda: redis_told(client)["state"] == "away", "the fault")
        page = client.get("/status").get_data(as_text=True)
        assert "Redis" in page


def test_a_redis_that_is_down_at_the_start_is_found_later(site: Callable[..., Flask], tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    app = site(server.url.replace("//", "//:hunter2@"))
    client = operator(app)
    assert answers(client) == FOUND
    until(told(client, "away", "unreachable"), "the fault")
    assert check(client.get("/api/monitoring/health"), "monitoringHealth", 200)["status"] == "degraded"
    for path in ("/status", "/status?lang=en", "/metrics", "/api/monitoring/health"):
        assert "hunter2" not in client.get(path).get_data(as_text=True)
    server.options = ("--requirepass", "hunter2")
    server.start()
    until(told(client, "connected"), "a connection")
    server.kill()


def test_a_site_without_a_redis_says_nothing_of_one(client: FlaskClient, session: Session) -> None:
    fill(session)
    assert check(client.get("/api/monitoring/health", headers=BEARER), "monitoringHealth", 200)["redis"] is None
    assert (
        "Redis"
        not in client.get("/status?lang=en", headers=BEARER).get_data(as_text=True).split('id="settings-title"')[0]
    )
    assert "matmon_redis" not in client.get("/metrics", headers=BEARER).get_data(as_text=True)
