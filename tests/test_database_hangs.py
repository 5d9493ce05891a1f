"""PostgreSQL that hangs, is full, or starts again: a request works or says so within five seconds, and comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import make_url, text
from werkzeug.test import TestResponse

from app import create_app
from config import Settings
from indexing.documents import NewDocument, write_documents
from models import db
from tests.conftest import closed, migrate, settings_for
from tests.databases import NotToBeHad, PostgresServer, system_programs
from tests.described import check
from tests.servers import Server, serving
from tests.visits import get
from tests.waiting import until

PATIENCE_S = 1
MOST_CONNECTIONS = 12
# Of a request against a server that hangs: its patience, and what a machine at twice its load needs.
GENEROUS_S = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own: others would hang with it."""
    settings = (f"max_connections={MOST_CONNECTIONS}", "superuser_reserved_connections=0")
    try:
        started = PostgresServer(system_programs(), migrate, settings=settings)
    except NotToBeHad as reason:
        pytest.skip(str(reason))
    yield started
    started.stop()


@pytest.fixture
def database(server: PostgresServer, tmp_path: Path) -> Iterator[str]:
    with server.fresh(tmp_path) as url:
        yield url


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_for(database, tmp_path, db_timeout_s=PATIENCE_S)


@pytest.fixture
def site(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    with app.app_context():
        write_documents(db.session(), "house", [NewDocument("1", "אבן", "אבן על אבן.", ("אבנים",))])
        db.session.remove()
    yield app.test_client()
    closed(app)


def found(site: FlaskClient) -> int:
    answer = get(site, "/api/search?q=אבן")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    total: int = answer.get_json()["total"]
    return total


def timed(site: FlaskClient, path: str) -> tuple[TestResponse, float]:
    began = time.monotonic()
    return get(site, path), time.monotonic() - began


def test_a_server_that_hangs_is_told_in_time_and_works_when_it_goes_on(
    site: FlaskClient, server: PostgresServer
) -> None:
    assert found(site) == 1
    with server.stands_still():
        for path in ("/text?q=אבן", "/health", "/api/stats", "/documents/1"):
            answer, took_s = timed(site, path)
            assert answer.status_code == 503, path
            assert took_s < GENEROUS_S, path
        check(get(site, "/health"), "health", 503)
        assert get(site, "/livez").status_code == 200
    assert found(site) == 1


def test_after_a_restart_the_next_request_works(site: FlaskClient, server: PostgresServer) -> None:
    assert found(site) == 1
    server.restart()
    assert found(site) == 1


def sleeping(url: str) -> int:
    """Return how many statements work on for nobody."""
    address = make_url(url)
    connect = psycopg2.connect(host=address.query["host"], user=address.username, dbname=address.database)
    with closing(connect) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def test_a_statement_without_end_is_given_up_by_the_server_too(site: FlaskClient, database: str) -> None:
    app: Flask = site.application
    app.view_functions["search.tags"] = lambda: str(db.session.execute(text("SELECT pg_sleep(60)")).scalar())
    answer, took_s = timed(site, "/tags")
    assert answer.status_code == 503
    assert took_s < GENEROUS_S
    until(lambda: not sleeping(database), "the server's giving up", 5)
    assert found(site) == 1


def test_what_no_visitor_waits_for_may_take_longer(site: FlaskClient) -> None:
    with site.application.app_context():
        db.session.execute(text(f"SELECT pg_sleep({PATIENCE_S + 0.5})"))
        db.session.remove()
    assert found(site) == 1


def taken(site: FlaskClient, url: str) -> ExitStack:
    """Take every connection that there is, the site's own as well."""
    with site.application.app_context():
        db.engine.dispose()
    address, held = make_url(url), ExitStack()
    while True:
        try:
            one = psycopg2.connect(host=address.query["host"], user=address.username, dbname=address.database)
        except psycopg2.OperationalError:
            return held
        held.callback(one.close)


def test_a_full_server_is_waited_for_and_then_told(site: FlaskClient, database: str) -> None:
    with taken(site, database):
        answer, took_s = timed(site, "/api/search?q=אבן")
        assert answer.status_code == 503
        assert PATIENCE_S <= took_s < GENEROUS_S
    with ThreadPoolExecutor(1) as other:
        held = taken(site, database)
        asked = other.submit(found, site)
        time.sleep(PATIENCE_S / 4)  # while it waits a connection comes free
        held.close()
        assert asked.result() == 1


def test_fifty_clients_share_five_connections(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path))
    with app.app_context():
        write_documents(db.session(), "house", [NewDocument(str(n), f"אבן {n}", "אבן.") for n in range(50)])
    closed(app)
    secrets = {"SECRET_KEY": "a secret of the tests", "ADMIN_TOKEN": "a token of the tests"}
    with serving(tmp_path, DATABASE_URL=database, **secrets) as server, ThreadPoolExecutor(50) as clients:
        asked = [clients.submit(server.get, "/text", q=f"אבן {n % 50}") for n in range(200)]
        most = 0
        while not all(one.done() for one in asked):
            most = max(most, open_connections(database))
        assert {one.result()[0] for one in asked} == {200}
    assert 1 <= most <= 5


def open_connections(url: str) -> int:
    address = make_url(url)
    connect = psycopg2.connect(host=address.query["host"], user=address.username, dbname="postgres")
    with closing(connect) as connection, connection.cursor() as cursor:
        named = "datname = %s AND application_name = 'matmon'"
        cursor.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {named}", (address.database,))
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def test_the_real_server_answers_every_client_while_the_database_hangs(
    database: str, server: PostgresServer, tmp_path: Path
) -> None:
    secrets = {"SECRET_KEY": "a secret of the tests", "ADMIN_TOKEN": "a token of the tests"}
    with serving(tmp_path, DATABASE_URL=database, DB_TIMEOUT_SECONDS="1", **secrets) as site:
        assert site.get("/text", q="אבן")[0] == 200
        with server.stands_still(), ThreadPoolExecutor(4) as clients:
            assert set(clients.map(lambda _: status(site), range(4))) == {503}
            assert site.get("/livez")[0] == 200
        until(lambda: status(site) == 200, "the first answer after it")


def status(site: Server) -> int:
    return site.get("/text", q="אבן")[0]
