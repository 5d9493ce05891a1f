"""What caches and search engines may keep: asked of every route, with and without a cookie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app import create_app
from tests.conftest import Started, closed, settings_for
from tests.visits import BEARER
from web.headers import PRIVATE

PUBLIC = {
    "search",
    "reference",
    "site",
    "collections",
    "documents",
    "api_search",
    "api_documents",
    "api_operations",
}
VALUES = {"own_id": "1", "number": 1, "link": 1, "part": 1, "filename": "style.css"}
QUERY = {"q": "אבן", "skills": "אבן", "address": "/text?q=אבן"}
# Their figures and times differ from one moment to the next.
CHANGING = {"static", "search.status"} | {
    f"api_operations.api_{name}" for name in ("metrics", "health", "monitoring_health", "monitoring_memory")
}
STORED = {"documents", "jobs", "profiles"}


@pytest.fixture(scope="module")
def app(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A site where most of the routes have something to show."""
    folder: Path = tmp_path_factory.mktemp("headers")
    with started.maker("sqlite").fresh(folder) as url:
        app = create_app(settings_for(url, folder, rate_limit="100000/minute"))
        client = app.test_client()
        for collection in STORED:
            fields = {"id": "1", "title": "אבן", "body": "אבן על אבן", "tags": ["אבן"], "collection": collection}
            assert client.post("/api/documents", json=fields, headers=BEARER).status_code == 201
        assert client.post("/api/screenings", json={"job_id": "1"}).status_code == 202
        assert client.post("/api/searches", json={"address": "/text?q=אבן"}).status_code == 201
        yield app
        closed(app)


def routes(app: Flask, method: str) -> list[tuple[Rule, str]]:
    """Return every route that takes a method, with an address of it."""
    adapter = app.url_map.bind("localhost")
    rules = [rule for rule in app.url_map.iter_rules() if method in (rule.methods or ())]
    values = [{name: VALUES[name] for name in rule.arguments} for rule in rules]
    return [(rule, adapter.build(rule.endpoint, own, method)) for rule, own in zip(rules, values, strict=True)]


def is_private(rule: Rule) -> bool:
    return rule.endpoint.split(".")[0] in PRIVATE


def answers(client: FlaskClient, app: Flask, **headers: str) -> Iterator[tuple[Rule, TestResponse]]:
    for method in ("GET", "POST", "PUT", "DELETE"):
        for rule, path in routes(app, method):
            body: dict[str, str] | None = {} if method in ("POST", "PUT") and rule.endpoint.startswith("api_") else None
            query = {} if rule.endpoint == "static" else QUERY
            yield rule, client.open(path, method=method, query_string=query, headers=headers, buffered=True, json=body)


def test_every_blueprint_is_known_to_be_private_or_public(app: Flask) -> None:
    assert set(app.blueprints) == PRIVATE | PUBLIC


def test_private_answers_are_stored_nowhere_and_listed_nowhere(app: Flask) -> None:
    count = 0
    for headers in ({}, BEARER):
        for rule, answer in answers(app.test_client(), app, **headers):
            if is_private(rule):
                count += 1
                assert answer.headers["Cache-Control"] == "private, no-store", rule
                assert answer.headers["X-Robots-Tag"] == "noindex", rule
                assert {"Cookie", "Authorization"} <= set(answer.vary.to_header().split(", ")), rule
    assert count > 60


def test_public_answers_are_asked_for_again_and_static_files_are_kept(app: Flask) -> None:
    for rule, answer in answers(app.test_client(), app):
        if rule.endpoint == "static":
            assert "max-age=31536000" in answer.headers["Cache-Control"]
        elif not is_private(rule):
            stored = "private, no-store" if answer.status_code >= 400 else "private, no-cache"
            assert answer.headers["Cache-Control"] == stored, rule
            assert "X-Robots-Tag" not in answer.headers, rule


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/screenings/99", "/static/nothing.css"])
def test_errors_are_not_stored(app: Flask, path: str) -> None:
    answer = app.test_client().get(path)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "private, no-store")


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("Cookie", "he", "en"),
        ("Accept-Language", "he", "en-GB,en;q=0.9"),
        ("Accept", "text/html", "application/json"),
        ("Authorization", "", BEARER["Authorization"]),
    ],
)
def test_what_an_answer_depends_on_is_named_in_vary(app: Flask, name: str, first: str, second: str) -> None:
    clients = [app.test_client(), app.test_client()]
    headers: list[dict[str, str]] = [{}, {}]
    if name == "Cookie":
        for client, lang in zip(clients, (first, second), strict=True):
            client.get(f"/?lang={lang}")
    else:
        headers = [{name: value} if value else {} for value in (first, second)]
    differing = 0
    for rule, path in routes(app, "GET"):
        if rule.endpoint in CHANGING:
            continue
        one, other = (
            client.get(path, query_string=QUERY, headers=own, buffered=True)
            for client, own in zip(clients, headers, strict=True)
        )
        if (one.status_code, steady(one)) != (other.status_code, steady(other)):
            differing += 1
            assert name in one.vary, rule
            assert name in other.vary, rule
    assert bool(differing) == (name in ("Cookie", "Authorization", "Accept-Language"))


def steady(answer: TestResponse) -> str:
    """Return the text of an answer without figures, durations and tokens, which differ each time."""
    return re.sub(r"<small>[^<]*</small>|[\w.-]{40,}|[-\d.]+|&times;", "", answer.get_data(as_text=True))
