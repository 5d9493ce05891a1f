"""pgvector's index through its life: built, killed and built on, followed, lacking, dropped, and not to be had."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from app import create_app
from commands import register
from config import ROOT
from encoders.lazy import LazyEncoder
from indexing.backup import plain_tables
from indexing.choosing import drop, switch
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from indexing.half_building import CannotBuild, build_index, building, make_extension
from indexing.halves import Halves, drop_halves
from models import db, document_number, half_table
from search.index_choice import VectorIndex
from search.semantic import Semantic, model_of
from tests.collections import HOUSE, fill
from tests.conftest import Started, closed, settings_for
from tests.fakes import HashedWords
from tests.test_model_choice import ENCODERS, Narrow, found
from tests.test_semantic import found as searched
from tests.waiting import until
from utils.pgvector import half_index, table_state

HASHED = HashedWords()


@pytest.fixture(autouse=True)
def looked_at_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.index_choice.BETWEEN_LOOKS_S", 0.0)


@pytest.fixture
def engine(started: Started, tmp_path: Path) -> Iterator[Engine]:
    with started.maker("pgvector").fresh(tmp_path) as url:
        made = create_engine(url)
        yield made
        made.dispose()


@pytest.fixture
def house(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        fill(session)
        yield session


def build(session: Session, manifest_of: HashedWords = HASHED) -> Halves:
    halves = Halves(manifest_of.manifest)
    make_extension(session)
    engine = session.get_bind().engine
    with building(engine, halves.model, 64) as connection:
        halves.make(session)
        halves.fill(session)
        build_index(connection, session, halves, lambda *_: None)
    return halves


def side(wanted: str = "pgvector") -> Semantic:
    first = found("hashed")
    made = Semantic(
        LazyEncoder(first.load, "hashed"),
        first.key,
        find=found,
        vector_index=VectorIndex(wanted),  # type: ignore[arg-type]
    )
    assert made.ready(10)
    return made


def served(semantic: Semantic) -> tuple[str | None, str]:
    return semantic.serving.serves, semantic.serving.why


def test_new_changed_and_deleted_documents_are_followed(house: Session) -> None:
    halves, semantic = build(house), side()
    assert searched(house, "good bread", semantic)[0] == "bread"
    write_documents(house, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    embed(house, HASHED)
    assert searched(house, "telescope stars", semantic)[0] == "sky"
    write_documents(house, "house", [NewDocument("sky", "Garden", "Roses and thyme.")])
    assert "sky" not in searched(house, "telescope stars", semantic)
    embed(house, HASHED)
    assert searched(house, "roses thyme", semantic)[0] == "sky"
    delete_documents(house, [document_number("house", "sky")])
    assert "sky" not in searched(house, "roses thyme", semantic)
    assert served(semantic) == ("pgvector", "set")
    rows = house.execute(text(f"SELECT count(*) FROM {halves.table}")).scalar_one()
    assert (halves.missing(house), rows) == (0, 2 * len(HOUSE))


def test_what_another_version_wrote_is_missed_and_made_good_by_the_next_embed(house: Session) -> None:
    halves, semantic = build(house), side()
    searched(house, "good bread", semantic)
    house.execute(
        text(f"DELETE FROM {halves.table} WHERE document_id = :one"), {"one": document_number("house", "bread")}
    )
    house.commit()
    write_documents(house, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    assert searched(house, "good bread", semantic)[0] == "bread"
    assert served(semantic) == ("memory", "incomplete")
    embed(house, HASHED)
    assert searched(house, "good bread", semantic)[0] == "bread"
    assert served(semantic) == ("pgvector", "set")


def test_between_two_looks_the_changed_documents_are_looked_at(house: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    halves, semantic = build(house), side()
    searched(house, "good bread", semantic)
    monkeypatch.setattr("search.index_choice.BETWEEN_LOOKS_S", 3600.0)
    write_documents(house, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    embed(house, HASHED)
    assert searched(house, "telescope stars", semantic)[0] == "sky"
    assert served(semantic) == ("pgvector", "set")
    monkeypatch.setattr("indexing.halves.Halves.are_there", lambda *_: False)  # as a version that knows no halves
    write_documents(house, "house", [NewDocument("sea", "Lighthouse", "Waves under a lighthouse.")])
    embed(house, HASHED)
    assert searched(house, "lighthouse waves", semantic)[0] == "sea"
    assert served(semantic) == ("memory", "incomplete")
    assert halves.missing(house) == 2


def test_a_switch_of_the_model_is_a_switch_of_the_table(house: Session) -> None:
    build(house)
    semantic = side()
    embed(house, ENCODERS["narrow"])
    switch(house, Narrow.manifest)
    assert searched(house, "good bread", semantic)[0] == "bread"
    assert served(semantic) == ("memory", "not_built")
    build(house, Narrow())
    write_documents(house, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    embed(house, ENCODERS["narrow"])
    assert searched(house, "telescope stars", semantic)[0] == "sky"
    assert served(semantic) == ("pgvector", "set")
    drop(house, model_of(HASHED))
    assert table_state(house, Halves(HASHED.manifest).table) is None


def test_a_table_dropped_under_a_search_leaves_the_memory(house: Session) -> None:
    halves, semantic = build(house), side()
    searched(house, "good bread", semantic)
    house.execute(text(f"DROP TABLE {halves.table}"))  # by hand: no version tells of it
    house.commit()
    assert searched(house, "good bread", semantic)[0] == "bread"
    assert served(semantic) == ("memory", "not_built")
    build(house)
    assert drop_halves(house, halves.model)
    assert not drop_halves(house, halves.model)


def test_a_backup_leaves_it_out(house: Session) -> None:
    build(house)
    assert not [table.name for table in plain_tables() if table.name.startswith("vectors")]


BUILDER = """
import sys
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from tests.test_vector_life import build
with Session(create_engine(sys.argv[1])) as session:
    build(session)
"""
AT_WORK = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND state = 'active'"


def test_a_build_killed_half_way_is_gone_on_with(house: Session, engine: Engine) -> None:
    halves = Halves(HASHED.manifest)
    make_extension(house)
    halves.make(house)
    with engine.connect() as holding:
        # A build waits for those who write already: here for ever, so that it is killed in the middle.
        holding.execute(text(f"LOCK TABLE {halves.table} IN ROW EXCLUSIVE MODE"))
        url = engine.url.render_as_string(hide_password=False)
        builder = subprocess.Popen([sys.executable, "-c", BUILDER, url], cwd=ROOT)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as looking:
            until(lambda: looking.execute(text(AT_WORK)).first() is not None, "the build has begun")
            with pytest.raises(CannotBuild, match="being built already"), building(engine, halves.model, 64):
                pass
            builder.send_signal(signal.SIGKILL)
            builder.wait(20)
            until(lambda: looking.execute(text(AT_WORK)).first() is None, "the server has noticed")
    left = house.execute(text("SELECT to_regclass(:name)"), {"name": half_index(halves.table)}).scalar_one()
    state = table_state(house, halves.table)
    house.rollback()
    assert (left is not None, state is not None and state.is_indexed) == (True, False)
    semantic = side()
    assert searched(house, "good bread", semantic)[0] == "bread"
    assert served(semantic) == ("memory", "not_built")
    build(house)
    write_documents(house, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    embed(house, HASHED)
    assert searched(house, "telescope stars", semantic)[0] == "sky"
    assert served(semantic) == ("pgvector", "set")


# --- where it cannot be had ---


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
    assert (code, "pgvector's index is built" in told) == (0, True)
    code, told = run(site, "vectors")
    assert (code, "e5-small: pgvector, since VECTOR_INDEX is set to it" in told, "indexed" in told) == (0, True, True)
    assert checked(site)[:2] == (0, "ok")
    with site.app_context():
        table = half_table(site.extensions["matmon.semantic"].model_key)
        db.session.execute(text(f"DROP INDEX {half_index(table)}"))
        db.session.execute(text("UPDATE state SET version = version + 1"))
        db.session.commit()
    assert checked(site)[:2] == (1, "WRONG")
    assert "was given up half-way" in run(site, "check", "database")[1]
    assert run(site, "vectors", "drop") == (0, "Dropped.\n")
    code, told = run(site, "vectors")
    assert (code, "build it with: flask --app app vectors build" in told) == (1, True)


def test_the_status_and_the_monitoring_say_which_serves(site: Flask) -> None:
    with site.app_context():
        embed(db.session(), HASHED)
    client = site.test_client()
    assert client.get("/api/monitoring/memory").json["vector_index"]["serves"] is None  # type: ignore[index]
    side_of_site = site.extensions["matmon.semantic"]
    with site.app_context():
        assert side_of_site.ready(60)
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
