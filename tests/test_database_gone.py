"""PostgreSQL going away under the running site: cut connections, no connections, no room, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, make_url, text
from werkzeug.test import TestResponse

from config import Settings
from indexing.documents import NewDocument, write_documents
from models import db
from tests.conftest import Started, settings_for
from tests.described import OPERATIONS, check
from tests.markup import Page
from tests.visits import get

PAGES = ("/", "/text?q=אבן", "/tags", "/documents/1")


@pytest.fixture(params=["pgvector", "postgresql"])
def database(request: pytest.FixtureRequest, started: Started, tmp_path: Path) -> Iterator[str]:
    with started.maker(request.param).fresh(tmp_path) as url:
        yield url


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_for(database, tmp_path, db_pool_size=1, db_max_overflow=0)


@pytest.fixture
def site(app: Flask) -> FlaskClient:
    with app.app_context():
        write_documents(db.session(), "house", [NewDocument("1", "אבן", "אבן על אבן.", ("אבנים",))])
    return app.test_client()


def as_operator(url: str, *statements: str) -> None:
    """Run statements beside the app, in the server's own database."""
    address = make_url(url)
    with closing(psycopg2.connect(host=address.query["host"], user=address.username, dbname="postgres")) as operator:
        operator.autocommit = True
        for statement in statements:
            operator.cursor().execute(statement)


def cut(url: str) -> None:
    name = make_url(url).database
    as_operator(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@contextmanager
def gone(url: str) -> Iterator[None]:
    name = make_url(url).database
    as_operator(url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    cut(url)
    yield
    as_operator(url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def is_the_page_of_trouble(answer: TestResponse) -> bool:
    text = Page(answer.get_data(as_text=True)).text
    return answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0 and "Back in a moment" in text


def test_after_its_connections_were_cut_the_next_request_works(site: FlaskClient, database: str) -> None:
    for path in ("/api/search?q=אבן", "/text?q=אבן", "/api/stats", "/health"):
        assert get(site, path).status_code == 200
        cut(database)
        assert get(site, path).status_code == 200, path


def test_a_connection_cut_within_a_request_is_told_and_mended(app: Flask, site: FlaskClient, database: str) -> None:
    with app.app_context():
        engine = db.engine
    statements = 0

    def cut_before_the_second(*_: Any) -> None:
        nonlocal statements
        statements += 1
        if statements == 2:
            cut(database)

    event.listen(engine, "before_cursor_execute", cut_before_the_second)
    try:
        check(get(site, "/api/search?q=אבן"), "search", 503)
        statements = 0
        assert is_the_page_of_trouble(get(site, "/text?q=אבן&lang=en"))
    finally:
        event.remove(engine, "before_cursor_execute", cut_before_the_second)
    assert get(site, "/api/search?q=אבן").get_json()["total"] == 1


def test_while_it_is_gone_answers_say_so_and_what_needs_no_database_stands(site: FlaskClient, database: str) -> None:
    with gone(database):
        check(get(site, "/api/search?q=אבן"), "search", 503)
        check(get(site, "/api/suggest?q=אבן"), "suggest", 503)
        check(get(site, "/api/stats"), "stats", 503)
        token = {"Authorization": "Bearer a token of the tests"}
        check(site.put("/api/documents/2", json={"title": "א"}, headers=token), "replaceDocument", 503)
        check(site.put("/api/documents/2", json={"title": "א"}), "replaceDocument", 401)
        for path in PAGES:
            assert is_the_page_of_trouble(get(site, f"{path}{'&' if '?' in path else '?'}lang=en")), path
        health = check(get(site, "/health"), "health", 503)
        assert (health["status"], health["database"]) == ("error", "unreachable")
        check(get(site, "/livez"), "alive", 200)
        check(get(site, "/api/openapi.json"), "description", 200)
        for path, status in (("/status", 200), ("/import", 200), ("/static/style.css", 200), ("/nothing", 404)):
            assert get(site, path).status_code == status, path
    for path in (*PAGES, "/health", "/api/stats"):
        assert get(site, path).status_code == 200, path
    assert get(site, "/api/search?q=אבן").get_json()["total"] == 1
    assert get(site, "/api/documents/2").status_code == 404


def test_where_no_connection_is_free_the_answer_is_to_come_again(app: Flask, site: FlaskClient) -> None:
    with app.app_context():
        engine = db.engine
    engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    with engine.connect():
        check(get(site, "/api/search?q=אבן"), "search", 503)
        assert is_the_page_of_trouble(get(site, "/text?q=אבן&lang=en"))
        check(get(site, "/health"), "health", 503)
    assert get(site, "/api/search?q=אבן").status_code == 200


def test_pages_of_errors_ask_the_database_nothing(app: Flask, site: FlaskClient) -> None:
    asked: list[str] = []
    with app.app_context():
        engine = db.engine

    def ask(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    app.view_functions["search.tags"] = broken
    event.listen(engine, "before_cursor_execute", ask)
    try:
        answers = [get(site, "/nothing"), site.post("/import"), site.delete("/"), get(site, "/tags")]
        answers += [get(site, "/api/nothing"), site.post("/api/documents", json={}), get(site, "/livez")]
    finally:
        event.remove(engine, "before_cursor_execute", ask)
    assert [one.status_code for one in answers] == [404, 400, 405, 500, 404, 401, 200]
    assert asked == []


def broken() -> str:
    raise RuntimeError("a fault")


def test_every_operation_that_reads_tells_of_503() -> None:
    silent = {name for name, one in OPERATIONS.items() if "503" not in one.responses}
    # The two that tell of memory answer while the database is gone: then above all one wants to look at it.
    assert silent == {"description", "alive", "monitoringMemory", "metrics"}


def test_an_answer_that_is_there_is_given_though_its_connection_was_cut(
    app: Flask, site: FlaskClient, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/cut")
    def answered_and_cut() -> str:
        found = db.session.execute(text("SELECT count(*) FROM document")).scalar_one()
        cut(database)
        return str(found)

    for _ in range(3):
        assert (site.get("/cut").status_code, site.get("/cut").text) == (200, "1")
        assert get(site, "/text?q=אבן").status_code == 200
    assert "a connection was cut after its last answer" in caplog.text
