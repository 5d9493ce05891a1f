"""Keys: what is stored of them, what each lets its bearer do, signing in and out, and a site that is private."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import create_app
from config import Settings
from models import ApiKey, db
from operations.keys import create_key, end_of_day, find_key, revoke_key
from tests.commands import run
from tests.conftest import closed, settings_for
from tests.documents import document, write
from tests.markup import Page
from tests.visits import BEARER, TOKEN, get, page, signed_in

SCOPED = {
    "read": "/api/search?q=a",
    "match": "/api/recommend",
    "write": "/api/documents",
    "admin": "/keys",
}


@pytest.fixture
def private(settings: Settings) -> Iterator[Flask]:
    """A private site with a collection."""
    app = create_app(replace(settings, access="private", metrics_token="a token for metrics"))
    with app.app_context():
        write(db.session(), document("1", "אבן"), collection="jobs")
    yield app
    closed(app)


def made(app: Flask, *scopes: str, **more: Any) -> str:
    """Return the text of a new key."""
    with app.app_context():
        return create_key(db.session(), "a key", scopes, **more)[1]


def as_bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def asked(client: FlaskClient, scope: str, **more: Any) -> int:
    """Return how a client is answered where a scope is needed."""
    if scope == "admin":
        signed_in(client, more["headers"]["Authorization"].removeprefix("Bearer "))
        return client.get(SCOPED[scope]).status_code
    if scope == "read":
        return client.get(SCOPED[scope], **more).status_code
    body = {"id": "2", "title": "ב", "collection": "jobs"} if scope == "write" else {"skills": ["א"]}
    return client.post(SCOPED[scope], json=body, **more).status_code


def test_a_key_is_stored_as_a_hash_only(app: Flask) -> None:
    key = made(app, "read")
    with app.app_context():
        row = db.session.execute(select(ApiKey)).scalar_one()
        assert key.encode() not in row.hash
        assert len(row.hash) == 32
        assert all(key not in str(value) for value in vars(row).values())
        assert find_key(db.session(), key) is row
        for wrong in (key[:-1], key + "a", key[:-1] + ("A" if key[-1] != "A" else "B"), "", "matmon_1_", TOKEN):
            assert find_key(db.session(), wrong) is None


def test_each_scope_opens_its_own_routes_and_no_others(private: Flask) -> None:
    for scope in SCOPED:
        key = as_bearer(made(private, scope))
        answers = {other: asked(private.test_client(), other, headers=key) for other in SCOPED}
        allowed = set(SCOPED) if scope == "admin" else {scope}
        assert {other for other, status in answers.items() if status < 400} == allowed, answers
        assert {status for status in answers.values() if status >= 400} <= {403}


def test_a_key_that_expired_or_was_revoked_is_refused(private: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client, key = private.test_client(), made(private, "read", expires_at=int(time.time()) + 60)
    other = made(private, "read")
    assert [asked(client, "read", headers=as_bearer(each)) for each in (key, other)] == [200, 200]
    with private.app_context():
        assert revoke_key(db.session(), int(other.split("_")[1], 16))
        assert revoke_key(db.session(), int(other.split("_")[1], 16)) is None
    now = time.time()
    monkeypatch.setattr("operations.keys.time.time", lambda: now + 61)
    assert [asked(client, "read", headers=as_bearer(each)) for each in (key, other)] == [401, 401]


def test_a_wrong_key_is_refused_where_none_is_needed_and_counted(app: Flask) -> None:
    client = app.test_client()
    statuses = [client.get("/api/tags", headers=as_bearer(f"matmon_{n:x}_{'x' * 43}")).status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert client.get("/api/tags").status_code == 200


def test_a_password_of_a_proxy_in_front_is_not_taken_for_a_key(app: Flask) -> None:
    assert app.test_client().get("/api/tags", auth=("name", "password")).status_code == 200


def test_last_use_is_stored_at_most_once_a_minute(private: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    key, client, now = made(private, "read"), private.test_client(), int(time.time())

    def used_at(later: int) -> int | None:
        monkeypatch.setattr("operations.keys.time.time", lambda: now + later)
        client.get("/api/tags", headers=as_bearer(key))
        with private.app_context():
            return db.session.execute(select(ApiKey.used_at)).scalar_one()

    assert [used_at(later) for later in (0, 59, 60, 100)] == [now, now, now + 60, now + 60]


def test_a_key_for_a_collection_writes_no_other(app: Flask) -> None:
    key = as_bearer(made(app, "write", collections=["mine"]))
    with app.app_context():
        write(db.session(), document("1", "אבן"), collection="other")
    client = app.test_client()
    for collection, status in (("mine", 201), ("other", 403)):
        answer = client.post("/api/documents", json={"title": "א", "id": "a", "collection": collection}, headers=key)
        assert answer.status_code == status
    assert client.put("/api/documents/1?collection=other", json={"title": "ב"}, headers=key).status_code == 403
    assert client.delete("/api/documents/1?collection=other", headers=key).status_code == 403
    assert client.delete("/api/documents/a?collection=mine", headers=key).status_code == 204
    assert client.post("/api/import", data={"collection": "other"}, headers=key).status_code == 422


def test_signing_in_with_a_key_lasts_until_it_is_revoked(private: Flask) -> None:
    key = made(private, "read")
    client = signed_in(private.test_client(), key)
    assert get(client, "/").status_code == 200
    with private.app_context():
        revoke_key(db.session(), int(key.split("_")[1], 16))
    assert get(client, "/").status_code == 303


def test_signing_in_with_the_token_ends_when_the_token_changes(settings: Settings) -> None:
    before = create_app(settings)
    client = signed_in(before.test_client())
    assert client.get("/keys").status_code == 200
    cookie = client.get_cookie("session")
    closed(before)
    assert cookie
    for token, status in ((settings.admin_token, 200), ("another token of the tests", 303)):
        app = create_app(replace(settings, admin_token=token))
        later = app.test_client()
        later.set_cookie("session", cookie.value)
        assert later.get("/keys").status_code == status
        closed(app)


def test_a_session_tells_nothing_of_the_secret(private: Flask) -> None:
    key = made(private, "read")
    client = signed_in(private.test_client(), key)
    with client.session_transaction() as kept:
        assert set(kept) <= {"key", "mark", "until", "csrf_token", "lang", "_permanent"}
        assert key.split("_", 2)[2] not in str(dict(kept))
        kept["mark"] = "0" * 32
    assert get(client, "/").status_code == 303


def test_signing_out_ends_it(private: Flask) -> None:
    client = signed_in(private.test_client(), made(private, "read"))
    token = page(client, "/signin").one("input", name="csrf_token")["value"]
    assert client.post("/signout", data={"csrf_token": token}).status_code == 303
    assert get(client, "/").status_code == 303


@pytest.mark.parametrize("wrong", ["", "wrong", "a token for metrics", "matmon_2_" + "x" * 43])
def test_a_wrong_key_does_not_sign_in(private: Flask, wrong: str) -> None:
    client = private.test_client()
    token = page(client, "/signin").one("input", name="csrf_token")["value"]
    answer = client.post("/signin", data={"csrf_token": token, "key": wrong, "next": "/tags"})
    assert answer.status_code == 401
    assert get(client, "/").status_code == 303


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("/tags?q=a", "/tags?q=a"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_back_within_the_site(app: Flask, address: str, leads_to: str) -> None:
    client = app.test_client()
    token = page(client, "/signin").one("input", name="csrf_token")["value"]
    answer = client.post("/signin", data={"csrf_token": token, "key": TOKEN, "next": address})
    assert answer.location == leads_to


def test_a_page_asks_for_a_key_and_comes_back(private: Flask) -> None:
    answer = private.test_client().get("/text?q=אבן")
    assert answer.status_code == 303
    form = page(private.test_client(), answer.location)
    assert form.one("input", name="next")["value"].startswith("/text?q=")


OPEN = frozenset(
    "api_operations.api_health api_operations.api_livez static keys.sign_in_form keys.sign_in_asked"
    " keys.sign_out_asked search.privacy site.robots site.opensearch site.manifest site.favicon".split()
)


def addresses(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Yield (endpoint, method, address) of every route."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        values = {name: 7 if name in ("number", "link", "part") else "style.css" for name in rule.arguments}
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield rule.endpoint, method, adapter.build(rule.endpoint, values, method)


def answered(client: FlaskClient, method: str, address: str, **more: Any) -> TestResponse:
    return client.open(address, method=method, json={} if "/api/" in address else None, buffered=True, **more)


def test_a_private_site_is_closed_but_for_what_is_named(private: Flask) -> None:
    private.config["WTF_CSRF_ENABLED"] = False
    client, opened = private.test_client(), set()
    for endpoint, method, address in addresses(private):
        answer = answered(client, method, address)
        if answer.status_code == 303 and answer.location.startswith("/signin?next="):
            continue
        if answer.status_code != 401 or endpoint in OPEN:
            opened.add(endpoint)
    assert opened == OPEN
    for path in ("/nothing", "/api/nothing", "/documents/nothing"):
        assert client.get(path).status_code == 303
    assert client.post("/nothing").status_code == 401


def test_with_a_key_for_everything_no_route_is_closed(private: Flask) -> None:
    private.config["WTF_CSRF_ENABLED"] = False
    for endpoint, method, address in addresses(private):
        is_api = endpoint.startswith("api_")
        client = private.test_client() if is_api else signed_in(private.test_client())
        answer = answered(client, method, address, headers=BEARER if is_api else {})
        assert answer.status_code not in (401, 403) or endpoint == "keys.sign_in_asked", (endpoint, answer.status_code)


def test_the_metrics_token_reads_figures_and_nothing_else(private: Flask) -> None:
    client, token = private.test_client(), as_bearer("a token for metrics")
    for path in ("/metrics", "/api/stats", "/api/monitoring/health", "/api/monitoring/memory", "/status"):
        assert client.get(path, headers=token).status_code == 200
    assert client.get("/api/search?q=a", headers=token).status_code == 403
    assert client.get("/keys", headers=token).status_code == 403


def test_an_admin_makes_and_revokes_keys_on_a_page(app: Flask) -> None:
    client = signed_in(app.test_client())
    form = {"csrf_token": page(client, "/keys?lang=en").one("input", name="csrf_token")["value"]}
    bad: list[dict[str, str]] = [
        {"scope": "nothing", "name": "x"}, {"scope": "read", "name": " "}, {"name": "x"},
        {"scope": "read", "name": "x", "expires": "2001-01-01"}, {"scope": "read", "name": "x", "expires": "soon"},
        {"scope": "admin", "name": "x", "collection": "jobs"},
    ]  # fmt: skip
    for values in bad:
        answer = client.post("/keys", data=form | values)
        assert answer.status_code == 422
        assert Page(answer.get_data(as_text=True)).all("p", role="alert")
    shown = client.post("/keys", data=form | {"scope": ["read", "match"], "name": "a <b> key", "expires": "2999-12-31"})
    assert shown.headers["Cache-Control"] == "private, no-store"
    key = Page(shown.get_data(as_text=True)).text.split("shown again.")[1].split()[0]
    assert client.get("/api/tags", headers=as_bearer(key)).status_code == 200
    assert key not in get(client, "/keys").get_data(as_text=True)
    (revoke,) = [each["action"] for each in page(client, "/keys").all("form") if each["action"].endswith("/revoke")]
    assert client.post(revoke, data=form).status_code == 303
    assert app.test_client().get("/api/tags", headers=as_bearer(key)).status_code == 401


def test_keys_are_made_listed_and_revoked_by_commands(settings: Settings, app: Flask) -> None:
    made_key = run(
        settings, "keys", "create", "payroll", "--scope", "read", "--collection", "jobs", "--expires", "2999-01-01"
    )
    key = made_key.stdout.strip()
    assert made_key.returncode == 0
    client = app.test_client()
    assert client.get("/api/tags", headers=as_bearer(key)).status_code == 200
    listed = run(settings, "keys", "list").stdout
    assert "payroll: read; jobs; made" in listed
    assert key not in listed
    assert run(settings, "keys", "revoke", listed.split()[0]).returncode == 0
    assert run(settings, "keys", "revoke", listed.split()[0]).returncode == 2
    assert client.get("/api/tags", headers=as_bearer(key)).status_code == 401
    assert run(settings, "keys", "list").stdout == ""
    assert run(settings, "keys", "create", "x", "--scope", "read", "--expires", "1999-01-01").returncode == 2


def test_a_day_ends_after_its_last_second() -> None:
    assert end_of_day("") is None
    assert end_of_day("2999-12-31") == 32503679999


def test_a_database_that_only_reads_lets_a_key_in(sqlite_alone: str, tmp_path: Path) -> None:
    app = create_app(settings_for(sqlite_alone, tmp_path, access="private"))
    key = made(app, "read")
    with app.app_context():
        db.session.execute(db.text("PRAGMA query_only = 1"))
        db.session.commit()
    assert app.test_client().get("/api/tags", headers=as_bearer(key)).status_code == 200
    closed(app)
