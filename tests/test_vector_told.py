"""Where the index of embeddings is told: by the commands, the checks, the status, and where pgvector cannot be had."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from app import create_app
from commands.register import register
from indexes.pgvector import halfvec_index_name
from indexes.pgvector_build import CannotBuild, make_extension
from indexing.documents import write_documents
from indexing.embedding import embed
from models import db, half_table
from runtime import runtime_of
from tests.collections import HOUSE, fill
from tests.conftest import Started, closed, settings_for
from tests.test_semantic import found as searched
from tests.test_vector_life import HASHED, looked_at_each_change, served, side  # noqa: F401 - a fixture of every test
from tests.visits import operator


def test_without_the_extension_searches_are_served_and_the_reason_is_told(
    started: Started, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with started.maker("postgresql").fresh(tmp_path) as url:
        made = create_engine(url)
        with Session(made) as session, caplog.at_level(logging.INFO, "matmon.search"):
            fill(session)
            semantic = side()
            assert searched(session, "good bread", semantic)[0] == "bread"
            assert served(semantic) == ("memory", "no_extension")
            assert semantic.serving.is_refused
            assert "flask --app app vectors" in caplog.text
            with pytest.raises(CannotBuild, match="has no pgvector"):
                make_extension(session)
        made.dispose()


@pytest.fixture
def site(database: str, tmp_path: Path, e5_folder: Path) -> Iterator[Flask]:
    models = e5_folder.parent
    wanted = "pgvector" if database.startswith("postgresql") else "auto"
    app = create_app(
        settings_for(database, tmp_path, semantic_model="e5-small", models_dir=models, vector_index=wanted)
    )
    register(app)
    with app.app_context():
        write_documents(db.session(), "house", list(HOUSE))
    yield app
    closed(app)


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    with app.app_context():
        ended = app.test_cli_runner().invoke(args=list(arguments))
    return ended.exit_code, ended.stdout + ended.stderr


def checked(app: Flask) -> tuple[int, str, str]:
    """Return how `flask check database` ends, and what it says of the index: the finding, and which one why."""
    code, told = run(app, "check", "database")
    (line,) = (line for line in told.splitlines() if "embeddings are searched " in line)
    return code, line.split()[0], line.split("embeddings are searched ")[1].split(" (VECTOR_INDEX")[0]


def test_the_commands_build_tell_and_drop_or_say_why_not(site: Flask, started: Started, database: str) -> None:
    assert run(site, "embed")[0] == 0
    if database.startswith("sqlite"):
        code, told = run(site, "vectors", "build")
        assert (code, "The database is SQLite" in told) == (2, True)
        assert run(site, "vectors") == (0, "e5-small: memory, since the database is SQLite\n")
        assert checked(site) == (0, "ok", "in memory, since the database is SQLite")
        return
    code, told = run(site, "vectors", "build")
    if code == 2:
        assert "This PostgreSQL has no pgvector" in told
        code, told = run(site, "vectors")
        assert (code, "memory, since this PostgreSQL has no pgvector" in told) == (1, True)
        assert checked(site) == (1, "WRONG", "in memory (10 rows), since this PostgreSQL has no pgvector")
        return
    assert (code, "The index of pgvector is built" in told) == (0, True)
    code, told = run(site, "vectors")
    assert (code, "e5-small: pgvector, since VECTOR_INDEX is set to it" in told, "indexed" in told) == (0, True, True)
    assert checked(site)[:2] == (0, "ok")
    with site.app_context():
        model = runtime_of(site).semantic.model.key
        assert model
        table = half_table(model)
        db.session.execute(text(f"DROP INDEX {halfvec_index_name(table)}"))
        db.session.execute(text("UPDATE state SET version = version + 1"))
        db.session.commit()
    assert checked(site)[:2] == (1, "WRONG")
    assert "was interrupted" in run(site, "check", "database")[1]
    assert run(site, "vectors", "drop") == (0, "Dropped.\n")
    code, told = run(site, "vectors")
    assert (code, "build it with: flask --app app vectors build" in told) == (1, True)


def test_the_status_and_the_monitoring_say_which_serves(site: Flask) -> None:
    with site.app_context():
        embed(db.session(), HASHED)
    client = operator(site)
    assert client.get("/api/monitoring/memory").json["vector_index"]["serves"] is None  # type: ignore[index]
    side_of_site = runtime_of(site).semantic
    with site.app_context():
        assert side_of_site.lazy.load(60)
    client.get("/api/search?mode=semantic&q=bread")
    told = client.get("/api/monitoring/health").json
    assert told is not None
    is_sqlite = told["vector_index"]["why"] == "not_postgresql"
    assert told["vector_index"]["serves"] == "memory"
    assert told["status"] == ("ok" if is_sqlite else "degraded")
    page = client.get("/status?lang=en").text
    assert ("the database is SQLite" in page) is is_sqlite
    assert ("VECTOR_INDEX=pgvector cannot be had" in page) is not is_sqlite
    assert "אינדקס השיכונים" in client.get("/status?lang=he").text
