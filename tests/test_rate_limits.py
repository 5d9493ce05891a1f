"""Rates: counted in a store that cannot grow past its bound, by client; wrong tokens and processor time as well."""

from __future__ import annotations

import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from tests.conftest import closed, settings_for, sqlite_alone
from tests.described import check
from tests.markup import Page
from tests.visits import BEARER, TOKEN
from web.rate_limits import MOST_CLIENTS, BoundedStorage

CHEAP = (
    "/", "/?lang=en", "/tags", "/livez", "/health", "/status", "/import", "/static/style.css", "/api/tags",
    "/api/stats", "/api/openapi.json",
)  # fmt: skip
SEARCHES = (
    "/?q=a", "/text?q=a", "/semantic?q=a", "/tags?q=a", "/?tag=a", "/?format=csv&q=a", "/documents/a",
    "/api/search", "/api/suggest?q=a", "/api/documents/a/similar",
)  # fmt: skip


database = sqlite_alone  # rates are counted in the process


class Clock:
    """Both clocks as the storage sees them: the time of day, and the one that nobody sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        for name in ("time", "monotonic"):
            monkeypatch.setattr(f"web.rate_limits.time.{name}", lambda: self.now)


def address(number: int) -> str:
    return f"LIMITS:LIMITER/2001:db8:{number >> 16:x}:{number & 0xFFFF:x}:0:0:0:1/searches/60/1/minute"


def test_a_hundred_thousand_addresses_stay_within_the_bound() -> None:
    storage = BoundedStorage()
    tracemalloc.start()
    try:
        for number in range(100_000):
            storage.incr(address(number), 60)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(storage) == MOST_CLIENTS == 10_000
    assert max(held, peak) < 5_000_000
    assert storage.get(address(99_999)) == 1
    assert storage.get(address(0)) == 0


def test_a_window_ends_and_the_count_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, storage = Clock(monkeypatch), BoundedStorage()
    assert [storage.incr("a", 60) for _ in range(3)] == [1, 2, 3]
    assert storage.get_expiry("a") == clock.now + 60
    clock.now += 59
    assert storage.incr("a", 60) == 4
    clock.now += 1
    assert storage.get("a") == 0
    assert storage.incr("a", 60, 2) == 2
    assert storage.get_expiry("a") == clock.now + 60


def test_a_client_that_comes_back_counts_as_new_among_those_that_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, storage = Clock(monkeypatch), BoundedStorage()
    storage.incr("early", 60)
    clock.now += 60
    for number in range(MOST_CLIENTS - 1):
        storage.incr(address(number), 60)
    storage.incr("early", 60)
    storage.incr("one more", 60)
    assert (storage.get("early"), storage.get(address(0))) == (1, 0)


def test_a_client_near_its_limit_is_kept_and_those_that_asked_once_are_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, storage = Clock(monkeypatch), BoundedStorage()
    limited, half = (f"LIMITS:LIMITER/192.0.2.{n}/searches/60/1/minute" for n in (1, 2))
    storage.incr(limited, 60, 61)
    storage.incr(half, 60, 30)
    storage.incr("LIMITS:LIMITER/192.0.2.3/others/600/1/minute", 60, 31)  # more, but of ten times as many
    for number in range(3 * MOST_CLIENTS):
        storage.incr(address(number), 60)
    assert (storage.get(limited), storage.get(half)) == (61, 30)
    assert len(storage) <= MOST_CLIENTS
    clock.now += 61
    for number in range(MOST_CLIENTS):  # those whose minute is over make room first
        storage.incr(address(number), 60)
    assert [storage.get(address(number)) for number in (0, MOST_CLIENTS - 1)] == [1, 1]


def test_one_key_or_all_can_be_cleared() -> None:
    storage = BoundedStorage()
    storage.incr("a", 60)
    storage.incr("b", 60)
    storage.clear("a")
    storage.clear("never seen")
    assert (storage.get("a"), storage.get("b"), storage.check()) == (0, 1, True)
    assert storage.reset() == 1
    assert len(storage) == 0


def test_clients_at_the_same_moment_are_all_counted() -> None:
    storage = BoundedStorage()
    threads = [threading.Thread(target=lambda: [storage.incr("a", 60) for _ in range(2_000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.get("a") == 16_000


def ask(client: FlaskClient, path: str, times: int = 1, peer: str = "192.0.2.1", forwarded: str = "") -> TestResponse:
    where = {"REMOTE_ADDR": peer}
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return [client.get(path, environ_overrides=where, headers=headers, buffered=True) for _ in range(times)][-1]


def test_the_sixty_first_search_of_a_minute_is_refused_and_the_next_minute_is_free(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    assert ask(client, "/api/search?q=a", 60).status_code == 200
    refused = ask(client, "/api/search?q=a")
    assert check(refused, "search", 429)["error"]["code"] == "too_many_requests"
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    page = ask(client, "/text?q=a&lang=en")
    assert (page.status_code, page.mimetype) == (429, "text/html")
    assert 0 < int(page.headers["Retry-After"]) <= 61
    assert ask(client, "/api/search?q=a", peer="192.0.2.2").status_code == 200
    clock.now += 61
    assert ask(client, "/api/search?q=a").status_code == 200


def few(database: str, folder: Path, trusted: int = 0) -> Flask:
    return create_app(settings_for(database, folder, rate_limit="3/minute", trusted_proxies=trusted))


def test_every_search_counts_towards_the_same_rate(database: str, tmp_path: Path) -> None:
    app = few(database, tmp_path)
    client = app.test_client()
    for number, path in enumerate(SEARCHES):
        peer = f"192.0.2.{number}"
        assert ask(client, "/api/search", 3, peer).status_code == 200
        assert ask(client, path, 1, peer).status_code == 429, path
    closed(app)


def test_cheap_pages_are_never_refused(database: str, tmp_path: Path) -> None:
    app = few(database, tmp_path)
    client = app.test_client()
    assert ask(client, "/api/search", 4).status_code == 429
    for path in CHEAP:
        assert ask(client, path, 5).status_code == 200, path
    closed(app)


def test_tries_of_the_admin_token_are_counted(client: FlaskClient) -> None:
    form = Page(client.get("/import").get_data(as_text=True))
    data = {"token": "wrong", "csrf_token": form.one("input", name="csrf_token")["value"]}
    answers = [client.post("/import", data=data).status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_the_right_token_counts_as_no_try(client: FlaskClient) -> None:
    form = Page(client.get("/import").get_data(as_text=True))
    data = {"token": TOKEN, "csrf_token": form.one("input", name="csrf_token")["value"]}
    assert {client.post("/import", data=data).status_code for _ in range(12)} == {303}
    assert {client.get("/api/import/1", headers=BEARER).status_code for _ in range(12)} == {404}


WRITES = (
    ("POST", "/api/documents"), ("PUT", "/api/documents/1"), ("DELETE", "/api/documents/1"), ("POST", "/api/import"),
    ("GET", "/api/import/1"), ("POST", "/api/import/1/cancel"), ("GET", "/api/screenings"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_wrong_bearer_tokens_are_counted_by_client_and_logged(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    def status(token: str, peer: str) -> int:
        headers, where = {"Authorization": f"Bearer {token}"}, {"REMOTE_ADDR": peer}
        return client.open(path, method=method, json={}, headers=headers, environ_overrides=where).status_code

    tries = [status(f"guess {number}", "2001:db8::1") for number in range(11)]
    assert tries[-1] == 429
    assert 429 not in tries[:10]
    assert status(TOKEN, "2001:db8::2") == 429  # of the same network
    assert status(TOKEN, "192.0.2.1") not in (401, 429)
    lines = [line for line in caplog.messages if "wrong key" in line]
    assert lines == ["a wrong key from 2001:db8::/64"] * 10
    assert "guess" not in caplog.text


def test_wrong_tokens_of_pages_and_api_count_together(client: FlaskClient) -> None:
    wrong = {"Authorization": "Bearer guess"}
    assert {client.post("/api/documents", json={}, headers=wrong).status_code for _ in range(10)} == {401}
    form = Page(client.get("/import").get_data(as_text=True))
    data = {"token": TOKEN, "csrf_token": form.one("input", name="csrf_token")["value"]}
    refused = client.post("/import", data=data)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 61


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_a_client_is_an_ipv4_address_or_a_network_of_ipv6(
    database: str, tmp_path: Path, first: str, second: str, is_same: bool
) -> None:
    app = few(database, tmp_path)
    client = app.test_client()
    assert ask(client, "/api/search", 3, first).status_code == 200
    assert ask(client, "/api/search", 1, second).status_code == (429 if is_same else 200)
    closed(app)


def test_the_network_is_counted_in_each_form_of_a_forwarded_address(database: str, tmp_path: Path) -> None:
    app = few(database, tmp_path, trusted=1)
    client = app.test_client()
    forms = ("2001:db8::1", "[2001:db8::2]", "[2001:db8::3]:443", "2001:DB8:0:0::4")
    assert [ask(client, "/api/search", forwarded=form).status_code for form in forms] == [200, 200, 200, 429]
    forms = ("192.0.2.1", "192.0.2.1:80", "192.0.2.1:81", "::ffff:c000:201")
    assert [ask(client, "/api/search", forwarded=form).status_code for form in forms] == [200, 200, 200, 429]
    closed(app)


def busy_app(database: str, folder: Path, cpu_s: int) -> Flask:
    """Return an app whose status page takes 0.6 s of the processor."""
    app = create_app(settings_for(database, folder, rate_limit_cpu_s=cpu_s))

    def busy() -> str:
        began = time.thread_time()
        while time.thread_time() < began + 0.6:
            pass
        return "done"

    app.view_functions["search.status"] = busy
    return app


def test_a_client_is_refused_once_its_share_of_the_processor_is_used_up(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = busy_app(database, tmp_path, 1)
    client = app.test_client()
    assert [ask(client, "/status").status_code for _ in range(3)] == [200, 200, 429]
    refused = ask(client, "/api/search?q=a")
    assert check(refused, "search", 429)["error"]["code"] == "too_many_requests"
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    assert ask(client, "/match?lang=en").status_code == 429
    assert {ask(client, path).status_code for path in ("/livez", "/health", "/metrics", "/static/style.css")} == {200}
    assert ask(client, "/", peer="192.0.2.2").status_code == 200
    answer = client.get("/api/stats", headers=BEARER, environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert answer.status_code == 200
    now = time.monotonic()
    monkeypatch.setattr("web.rate_limits.time.monotonic", lambda: now + 61)
    assert ask(client, "/").status_code == 200
    closed(app)


def test_no_share_of_the_processor_is_counted_with_0(database: str, tmp_path: Path) -> None:
    app = busy_app(database, tmp_path, 0)
    client = app.test_client()
    assert [ask(client, "/status").status_code for _ in range(3)] == [200, 200, 200]
    closed(app)


def test_a_forwarded_address_is_believed_only_behind_a_trusted_proxy(database: str, tmp_path: Path) -> None:
    for trusted, expected in ((0, 429), (1, 200)):
        app = few(database, tmp_path, trusted)
        client = app.test_client()
        answers = [ask(client, "/api/search", forwarded=f"198.51.100.{n}") for n in range(4)]
        assert answers[-1].status_code == expected, trusted
        # What a client writes before the proxy's own entry is not believed either.
        forged = [ask(client, "/api/search", forwarded=f"10.0.0.{n}, 203.0.113.9") for n in range(4)]
        assert forged[-1].status_code == 429
        closed(app)
