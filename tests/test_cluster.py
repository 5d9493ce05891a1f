"""Several PostgreSQL servers as one database: a real coordinator and its workers answer as one server does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import create_app
from commands.cluster import cluster_command
from config import ROOT
from encoders.base import Encoder
from indexes.choice import VectorIndex
from indexes.filters import Filter
from indexes.pgvector_build import HalfvecTable, build_index, building
from indexing.archive import Archive
from indexing.backup import backup, snapshot
from indexing.cluster import plan, spread
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from indexing.importing import import_file
from indexing.layout import Options
from indexing.restore import restore
from models import db, document_number
from runtime import runtime_of
from search.embeddings import THEN, EmbeddingIndex
from tests.answers import answers
from tests.citus import CitusCluster
from tests.collections import HOUSE
from tests.conftest import Started, closed, settings_for
from tests.markup import Page
from tests.servers import Server, serving
from tests.stored_vectors import clustered
from tests.visits import BEARER
from tests.waiting import until
from utils.citus import is_spread, on_workers


@pytest.fixture(scope="module")
def cluster(started: Started) -> CitusCluster:
    return started.cluster()


@pytest.fixture
def spread_url(cluster: CitusCluster, tmp_path: Path) -> Iterator[str]:
    with cluster.fresh(tmp_path) as url:
        yield url


@contextmanager
def site(url: str, folder: Path, models: Path | None = None) -> Iterator[Flask]:
    folder.mkdir(exist_ok=True)
    model = {"semantic_model": models.name, "models_dir": models.parent} if models else {}
    app = create_app(settings_for(url, folder, **model))
    with app.app_context():
        yield app
    closed(app)


def encoder_of(app: Flask) -> Encoder:
    encoder = runtime_of(app).semantic.lazy.encoder
    assert encoder
    return encoder


def filled(app: Flask, archive: Path) -> None:
    """Add jobs to the embedded sample collection, and keep all of it in an archive."""
    assert runtime_of(app).semantic.lazy.load(60)
    import_file(db.session(), ROOT / "data" / "sample-jobs.jsonl", Options("jobs"))
    embed(db.session(), encoder_of(app))
    backup(db.engine, archive)


def changed(app: Flask) -> None:
    """Write, change and delete documents, and embed what is new."""
    write_documents(db.session(), "sample", HOUSE)
    write_documents(db.session(), "sample", [NewDocument("rent", "חוזה אחר", "על לחם ומים.", ("בית", "חדש"), "he")])
    delete_documents(db.session(), [document_number("sample", "soup"), document_number("sample", "he-what-is-left")])
    embed(db.session(), encoder_of(app))


def test_it_answers_as_one_server_before_and_after_it_is_spread(
    cluster: CitusCluster, site_folder: Path, tmp_path: Path, e5_folder: Path
) -> None:
    archive = tmp_path / "all.matmon"
    with site(f"sqlite:///{site_folder / 'matmon.db'}", tmp_path / "one", e5_folder) as one:
        filled(one, archive)
        expected = answers(one)
        changed(one)
        expected_later = answers(one)
    assert [answer for answer in expected.values() if "error" in answer] == []
    assert expected != expected_later
    with cluster.whole() as url, site(url, tmp_path / "several", e5_folder) as several:
        restore(db.session(), Archive(archive))
        assert runtime_of(several).semantic.lazy.load(60)
        assert answers(several) == expected
        said = asked(several, "distribute")
        assert "9 tables are on several servers now" in said.output
        assert is_spread(db.session())
        assert answers(several) == expected
        changed(several)
        assert answers(several) == expected_later


def test_the_commands_tell_what_is_done_and_where_it_lies(cluster: CitusCluster, tmp_path: Path) -> None:
    with cluster.whole() as url, site(url, tmp_path) as app:
        write_documents(db.session(), "house", HOUSE)
        assert "Nothing is distributed yet" in asked(app, "status").output
        planned = asked(app, "plan", "--shards", "4")
        assert "create_distributed_table('document', 'id', shard_count => 4);" in planned.output
        assert not is_spread(db.session()), "a plan changes nothing"
        assert asked(app, "distribute", "--shards", "4").exit_code == 0
        status = asked(app, "status")
        assert (status.exit_code, status.output.count("distributed by document_id, shards: 4")) == (0, 4), status.output
        assert "Nothing is to be done" in asked(app, "distribute").output


def test_a_release_migrates_all_servers(cluster: CitusCluster, tmp_path: Path) -> None:
    scripts = str(ROOT / "migrations")
    with cluster.whole() as url, site(url, tmp_path) as app:
        flask_migrate.Migrate(app, db)
        flask_migrate.downgrade(scripts, revision="0003")
        assert asked(app, "distribute").exit_code == 0
        flask_migrate.upgrade(scripts)
        write_documents(db.session(), "house", HOUSE)
        assert total(app.test_client()) == len(HOUSE)
        with db.engine.connect() as connection:
            made = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'screening_result_decided_%'"
            assert set(on_workers(connection, made).values()) == {"1"}, "each server has its part of the new index"
        assert asked(app, "status").exit_code == 0


def test_where_there_is_no_cluster_the_commands_say_what_to_do(app: Flask, database: str) -> None:
    with app.app_context():
        assert "One database server" in asked(app, "status").output
        for name in ("plan", "distribute"):
            refused = asked(app, name)
            assert refused.exit_code == 2
            assert ("is SQLite" if database.startswith("sqlite") else "has no Citus") in refused.output


def test_a_spreading_that_is_broken_off_leaves_all_as_it_was(cluster: CitusCluster, tmp_path: Path) -> None:
    with cluster.whole() as url, site(url, tmp_path) as app:
        write_documents(db.session(), "house", HOUSE)
        with pytest.raises(DBAPIError):
            broken_off(db.engine, "'words'")
        assert not is_spread(db.session())
        assert app.test_client().get("/api/search?q=לחם&mode=text").status_code == 200
        assert asked(app, "distribute").exit_code == 0
        assert is_spread(db.session())


def asked(app: Flask, *arguments: str) -> Result:
    db.session.rollback()  # what is read here would stand in the way
    return app.test_cli_runner().invoke(cluster_command, arguments)


def test_a_table_in_use_is_waited_for_and_then_left(cluster: CitusCluster, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("commands.cluster.LOCK_TIMEOUT_S", 1)
    with cluster.whole() as url, site(url, tmp_path) as app, db.engine.connect() as other:
        other.execute(text("SELECT count(*) FROM document"))
        refused = asked(app, "distribute")
        assert (refused.exit_code, "uses the tables" in refused.output) == (2, True), refused.output
        assert not is_spread(db.session())


def broken_off(engine: Engine, before: str) -> None:
    """Spread the tables on a connection that is cut before a statement."""
    with engine.connect() as connection, engine.connect() as other:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        for statement in spread(connection, plan(connection)):
            if before in statement:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


def test_a_lost_worker_is_a_kind_page_and_its_return_mends_it(
    cluster: CitusCluster, spread_url: str, tmp_path: Path
) -> None:
    with serving(tmp_path, DATABASE_URL=spread_url, ADMIN_TOKEN="a token of the tests", SECRET_KEY="k" * 32) as server:
        for number in range(8):
            assert put(server, f"d{number}") == 201
        assert found(server) == 8
        with cluster.without_a_worker():
            page = server.ask("/text", q="לחם")
            assert (page.status, Page(page.text).one("html")["lang"]) == (503, "he")
            assert server.ask("/api/search", q="לחם", mode="text").json["error"]["code"]
            assert (server.ask("/livez").status, server.ask("/health").status) == (200, 503)
            written = {name: put(server, name) for name in ("e0", "e1", "e2")}
            assert set(written.values()) <= {201, 503}
            assert 503 in written.values()
        until(lambda: server.ask("/text", q="לחם").status == 200, "the worker's return")
        assert server.health()["status"] == "ok"
        assert found(server) == 8 + list(written.values()).count(201), "what was refused is not there in part either"
        assert [put(server, name) for name, status in written.items() if status == 503].count(201) > 0


def put(server: Server, name: str) -> int:
    body = json.dumps({"title": f"לחם {name}", "body": "קמח ומים.", "tags": ["אפייה"]}).encode()
    return server.send("PUT", f"/api/documents/{name}", body, Content_Type="application/json", **BEARER).status


def found(server: Server) -> int:
    total: int = server.search("לחם", "text")["total"]
    return total


def test_status_names_the_server_that_is_lost(cluster: CitusCluster, spread_url: str, tmp_path: Path) -> None:
    with site(spread_url, tmp_path) as app:
        with cluster.without_a_worker():
            said = asked(app, "status")
            assert (said.exit_code, said.output.count("does not answer")) == (1, 2), said.output
        assert asked(app, "status").exit_code == 0


def test_pgvector_is_as_right_on_several_servers(spread_url: str, tmp_path: Path) -> None:
    vectors = clustered(4_000, 96, 20, {"1 %": 0.01, "all": 1.0})
    manifest = vectors.manifest(tmp_path)
    engine = create_engine(spread_url)
    with Session(engine) as session:
        vectors.store(session, manifest)
        halves = HalfvecTable(manifest)
        with building(engine, halves.model, 64) as connection:
            halves.make(session)
            assert halves.fill(session) == 4_000
            assert build_index(connection, session, halves, lambda *_: None)
        assert is_spread(session, halves.table)
        stored = EmbeddingIndex(manifest, VectorIndex("pgvector", 0))
        for tag in ("", *vectors.tagged):
            assert vectors.recall(session, stored, tag) >= 0.97, tag
        # A graph keeps 40 places in view unless the workers were told otherwise.
        near = stored.halfvec.nearest(session, vectors.meanings(stored)[0], Filter(), THEN, 1)
        assert len(near) == THEN
    engine.dispose()


def test_a_backup_makes_writers_wait_and_readers_not(spread_url: str, tmp_path: Path) -> None:
    with site(spread_url, tmp_path) as app:
        write_documents(db.session(), "house", HOUSE)
        later = threading.Thread(target=write_one, args=(app,))
        with snapshot(db.engine):
            later.start()
            until(waits, "the writer's turn")
            assert total(app.test_client()) == len(HOUSE)
        later.join(30)
        assert total(app.test_client()) == len(HOUSE) + 1


def write_one(app: Flask) -> None:
    with app.app_context():
        write_documents(db.session(), "house", [NewDocument("later", "אחרי", "")])


def waits() -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE state%'"
    with db.engine.connect() as connection:
        return bool(connection.execute(text(waiting)).scalar_one())


def total(client: FlaskClient) -> int:
    counted: int = client.get("/api/stats").json["documents"]  # type: ignore[index]
    return counted
