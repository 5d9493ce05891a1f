"""A clock that is set anew, or that of another host is ahead: visitors stay who they are, and nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import Started
from tests.visits import form_token, get
from web.rate_limits import BoundedStorage
from web.sessions import LIFETIME

HOUR_S, DAY_S = 3_600, 86_400


@pytest.fixture
def database(started: Started, tmp_path: Path) -> Iterator[str]:
    """SQLite alone: what is asked of the database is the same everywhere."""
    with started.maker("sqlite").fresh(tmp_path) as url:
        yield url


class Clock:
    """The time of day as it is set; the clock that nobody sets goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.off_s, real = 0.0, time.time
        monkeypatch.setattr("time.time", lambda: real() + self.off_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def keep_one(client: FlaskClient, word: str = "bread") -> None:
    assert client.post("/api/searches", json={"address": f"/text?q={word}", "name": word}).status_code == 201


def kept(client: FlaskClient) -> int:
    found = client.get("/api/searches").json
    assert found is not None
    return len(found["searches"])


@pytest.mark.parametrize("jump_s", [-HOUR_S, -1, DAY_S])
def test_what_a_browser_keeps_is_found_when_the_clock_was_set_anew(app: Flask, clock: Clock, jump_s: int) -> None:
    client = app.test_client()
    keep_one(client)
    clock.off_s = jump_s
    assert kept(client) == 1
    keep_one(client, "water")
    assert kept(client) == 2


def test_a_cookie_ends_a_year_after_it_was_given(app: Flask, clock: Clock) -> None:
    client = app.test_client()
    keep_one(client)
    cookie = client.get_cookie("session")
    assert cookie is not None
    clock.off_s = LIFETIME.total_seconds() + DAY_S
    later = app.test_client()
    later.set_cookie("session", cookie.value)
    assert kept(later) == 0


def test_a_cookie_of_the_future_that_nobody_signed_is_refused(app: Flask, clock: Clock) -> None:
    client = app.test_client()
    clock.off_s = HOUR_S
    keep_one(client)
    cookie = client.get_cookie("session")
    assert cookie is not None
    clock.off_s = 0
    forger = app.test_client()
    forger.set_cookie("session", cookie.value[:-4] + "AAAA")
    assert kept(forger) == 0


@pytest.mark.parametrize("jump_s", [-HOUR_S, DAY_S])
def test_a_form_that_was_open_when_the_clock_was_set_is_taken(app: Flask, clock: Clock, jump_s: int) -> None:
    client = app.test_client()
    token = form_token(client)
    clock.off_s = jump_s
    given = {"csrf_token": token, "address": "/text?q=bread", "name": "a"}
    assert client.post("/searches", data=given).status_code == 303
    assert get(client, "/searches").status_code == 200


def test_a_client_waits_no_longer_for_a_clock_that_was_set_back(clock: Clock) -> None:
    storage = BoundedStorage()
    storage.incr("a", 60)
    clock.off_s = -HOUR_S
    assert storage.get("a") == 1
    assert 0 < storage.get_expiry("a") - time.time() <= 60
    clock.off_s = DAY_S
    assert storage.get("a") == 1
    assert storage.incr("a", 60) == 2
