"""What a stranger may not do: headers, forms, cookies, the admin token, hostile documents and uploads."""

from __future__ import annotations

import hmac
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from app import create_app
from models import Base, db
from runtime import runtime_of
from tests.conftest import closed, settings_for, site_of_one, sqlite_alone
from tests.markup import Page
from tests.visits import BEARER, TOKEN, become_admin, form_token, get
from web.headers import HEADERS

GETS = (
    "/signin", "/keys",
    "/", "/?q=א", "/text?q=א", "/tags", "/semantic?q=א", "/?q=א&part=results", "/?q=א&format=csv", "/documents/1",
    "/status", "/import", "/go?q=א&mode=text", "/static/style.css", "/static/openapi.json", "/api/search?q=א",
    "/api/documents/1", "/api/tags", "/api/stats", "/api/openapi.json", "/health", "/livez",
    "/nothing", "/api/nothing", "/documents/nothing", "/api/documents/nothing", "/static/nothing.js",
    "/api/search?page=0", "/api/import/1", "/import/1", "/static/",
)  # fmt: skip


database = sqlite_alone  # none of this depends on the database
site = site_of_one


def has_headers(answer: TestResponse) -> bool:
    return all(answer.headers.getlist(name) == [value] for name, value in HEADERS.items())


@pytest.mark.parametrize("path", GETS)
def test_every_answer_says_what_a_browser_may_do_with_it(site: FlaskClient, path: str) -> None:
    assert has_headers(get(site, path))


def test_errors_and_writes_say_so_too(app: Flask, site: FlaskClient) -> None:
    answers = [
        site.post("/import"), site.post("/api/documents", json={}), site.post("/api/search"), site.delete("/"),
        site.put("/api/documents/2", json={"title": "ב"}, headers=BEARER),
        site.delete("/api/documents/2", headers=BEARER), site.options("/"),
    ]  # fmt: skip
    assert [one.status_code for one in answers] == [400, 401, 405, 405, 201, 204, 200]
    app.view_functions["search.status"] = app.view_functions["api_operations.api_stats"] = broken
    answers += [site.get("/status"), site.get("/api/stats"), *[site.get("/text?q=א") for _ in range(61)]]
    with app.app_context():
        Base.metadata.drop_all(db.engine)
    answers += [site.get("/tags"), site.get("/api/tags")]
    assert {500, 429, 503} <= {one.status_code for one in answers}
    assert all(map(has_headers, answers))


def broken() -> str:
    raise RuntimeError("a secret detail")


def test_the_policy_lets_nothing_in_from_elsewhere_and_nothing_inline() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert not [source for source in policy.values() if "unsafe" in source or "*" in source or "http" in source]


def test_https_is_remembered_and_only_where_it_is_used(site: FlaskClient, database: str, tmp_path: Path) -> None:
    secure = {"base_url": "https://localhost"}
    assert "max-age" in get(site, "/", **secure).headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in get(site, "/").headers
    forwarded = {"headers": {"X-Forwarded-Proto": "https"}}
    assert "Strict-Transport-Security" not in get(site, "/", **forwarded).headers
    behind = create_app(settings_for(database, tmp_path, trusted_proxies=1))
    assert "Strict-Transport-Security" in get(behind.test_client(), "/", **forwarded).headers
    closed(behind)


def test_every_form_needs_its_own_token(app: Flask, site: FlaskClient) -> None:
    posts = [
        rule.rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ()) and rule.endpoint[:3] != "api"
    ]
    assert "/import" in posts
    other = form_token(app.test_client())
    form_token(site)
    for path in posts:
        for given in ({}, {"csrf_token": ""}, {"csrf_token": "x"}, {"csrf_token": other}):
            address = re.sub(r"<int\(max=\d+\):\w+>", "1", path)
            assert site.post(address, data={"token": TOKEN, **given}).status_code == 400, (path, given)


def test_being_admin_in_the_pages_does_not_open_the_api(site: FlaskClient) -> None:
    """Another site's form could send the cookie along; it cannot send the bearer token."""
    assert become_admin(site).status_code == 302
    assert site.post("/api/documents", json={"title": "א"}).status_code == 401
    assert site.delete("/api/documents/1").status_code == 401


def test_an_hour_later_the_token_is_asked_for_again(site: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    sent = become_admin(site)
    assert site.get(sent.location).status_code == 200
    now = time.time()
    monkeypatch.setattr("web.access.time.time", lambda: now + 3_601)
    assert site.get(sent.location).status_code == 404


def test_cookies_are_small_closed_to_scripts_and_hold_no_more_than_short_values(app: Flask, site: FlaskClient) -> None:
    for path in ("/?q=" + "מילה+" * 150, "/?lang=en", "/tags?tag=" + "ת" * 190, "/status", "/import"):
        get(site, path)
    answer = become_admin(site)
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Domain" not in cookie
    assert len(cookie) < 1_024
    kept = contents(app, cookie.split(";")[0].split("=", 1)[1])
    assert set(kept) <= {"lang", "csrf_token", "key", "mark", "until"}
    assert all(isinstance(value, int) or (isinstance(value, str) and len(value) <= 64) for value in kept.values())
    assert TOKEN not in str(kept)


def contents(app: Flask, cookie: str) -> dict[str, Any]:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    assert isinstance(serializer, URLSafeTimedSerializer)
    found: dict[str, Any] = serializer.loads(cookie)
    return found


def test_cookies_travel_by_https_alone_where_that_is_asked(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path, secure_cookies=True))
    assert "Secure" in get(app.test_client(), "/?lang=en").headers["Set-Cookie"]
    closed(app)


def test_a_reader_who_sets_nothing_gets_no_cookie(site: FlaskClient) -> None:
    for path in ("/", "/text?q=א", "/documents/1", "/api/search?q=א", "/livez"):
        assert "Set-Cookie" not in get(site, path).headers


def test_a_forged_cookie_is_nothing(site: FlaskClient) -> None:
    site.set_cookie("session", "eyJhZG1pbl91bnRpbCI6OTk5OTk5OTk5OX0.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")
    assert Page(get(site, "/import").get_data(as_text=True)).all("input", name="token")


def test_the_token_is_compared_in_constant_time(site: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return real(left, right)

    real = hmac.compare_digest
    monkeypatch.setattr("web.access.hmac.compare_digest", compare)
    site.post("/api/documents", json={"title": "א"}, headers={"Authorization": "Bearer wrong"})
    site.post("/api/documents", json={"title": "א"}, headers=BEARER)
    assert list(dict.fromkeys(pair for pair in compared if TOKEN.encode() in pair)) == [
        (b"wrong", TOKEN.encode()), (TOKEN.encode(), TOKEN.encode())
    ]  # fmt: skip
    become_admin(site, "wrong too")
    assert (b"wrong too", TOKEN.encode()) in compared


def test_tokens_are_neither_logged_nor_shown(app: Flask, site: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [become_admin(site, "a wrong guess")]
    answers += [become_admin(site), get(site, "/import"), get(site, "/status"), get(site, "/health")]
    answers.append(site.post("/api/documents", json={"title": "א"}, headers={"Authorization": "Bearer a wrong guess"}))
    answers.append(site.post("/api/documents", json={"title": "א"}, headers=BEARER))
    answers += [get(site, "/api/stats"), get(site, "/nothing")]
    shown = "".join(one.get_data(as_text=True) + str(one.headers) for one in answers)
    for secret in (TOKEN, "a wrong guess", app.config["SECRET_KEY"]):
        assert secret not in caplog.text
        assert secret not in shown
    assert "'a token" not in repr(runtime_of(app).settings)


def test_the_databases_password_is_told_to_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = settings_for("postgresql+psycopg2://matmon:hunter2hunter2@127.0.0.1:1/matmon", tmp_path)
    app = create_app(settings)
    client = app.test_client()
    answers = [get(client, path) for path in ("/status", "/health", "/?q=א", "/api/search", "/api/stats", "/import")]
    closed(app)
    assert {one.status_code for one in answers} == {200, 503}
    told = "".join(one.get_data(as_text=True) + str(one.headers) for one in answers) + caplog.text + repr(settings)
    assert "the database does not answer" in caplog.text
    assert "hunter2" not in told


BAD_HOSTS = ("a..b", ".", "a b", "[::1", "x:99999999", "x:port", "-", "a/b", "a@b", "x" * 64, "a.b\\c")


@pytest.mark.parametrize("host", BAD_HOSTS)
@pytest.mark.parametrize("path", ["/", "/api/search?q=x", "/livez", "/nothing"])
def test_a_host_that_is_no_name_is_refused_like_any_bad_request(site: FlaskClient, path: str, host: str) -> None:
    answer = site.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1", "[::1]:80", "my_site.internal", "x.org."])
def test_a_host_that_is_a_name_is_served(site: FlaskClient, host: str) -> None:
    assert site.get("/", headers={"Host": host}).status_code == 200


def test_only_trusted_hosts_are_served_and_probes_by_any_name(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path, trusted_hosts=("matmon.example", ".matmon.org")))
    client = app.test_client()
    statuses = {
        host: client.get("/", headers={"Host": host}).status_code
        for host in ("matmon.example", "matmon.example:443", "he.matmon.org", "evil.example", "matmon.example.evil")
    }
    assert statuses == {
        "matmon.example": 200, "matmon.example:443": 200, "he.matmon.org": 200, "evil.example": 400,
        "matmon.example.evil": 400,
    }  # fmt: skip
    assert client.get("/livez", headers={"Host": "10.0.0.7:8000"}).status_code == 200
    closed(app)
