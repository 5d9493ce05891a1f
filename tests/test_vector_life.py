"""pgvector's index through its life: built, killed and built on, followed, lacking and dropped."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from config import ROOT
from encoders.lazy import LazyEncoder
from indexes.choice import VectorIndex
from indexes.pgvector import halfvec_index_name, table_state
from indexes.pgvector_build import CannotBuild, HalfvecTable, build_index, building, drop_halfvec_table, make_extension
from indexing.backup import plain_tables
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from indexing.stored_models import drop_model, switch
from models import document_number
from search.ranking_cache import forget_rankings
from search.semantic import Semantic, model_of
from tests.collections import HOUSE, fill
from tests.conftest import Started
from tests.fakes import HashedWords
from tests.test_model_choice import ENCODERS, Narrow, found
from tests.test_semantic import found as searched
from tests.waiting import until

HASHED = HashedWords()


@pytest.fixture(autouse=True)
def looked_at_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.choice.BETWEEN_LOOKS_S", 0.0)


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


def build(session: Session, manifest_of: HashedWords = HASHED) -> HalfvecTable:
    halves = HalfvecTable(manifest_of.manifest)
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
    assert made.lazy.load(10)
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
    monkeypatch.setattr("indexes.choice.BETWEEN_LOOKS_S", 3600.0)
    write_documents(house, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    embed(house, HASHED)
    assert searched(house, "telescope stars", semantic)[0] == "sky"
    assert served(semantic) == ("pgvector", "set")
    monkeypatch.setattr(
        "indexes.pgvector_build.HalfvecTable.exists", lambda *_: False
    )  # as a version that knows no halves
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
    drop_model(house, model_of(HASHED))
    assert table_state(house, HalfvecTable(HASHED.manifest).table) is None


def test_a_table_dropped_under_a_search_leaves_the_memory(house: Session) -> None:
    halves, semantic = build(house), side()
    searched(house, "good bread", semantic)
    house.execute(text(f"DROP TABLE {halves.table}"))  # by hand: no version tells of it
    house.commit()
    forget_rankings()
    assert searched(house, "good bread", semantic)[0] == "bread"
    assert served(semantic) == ("memory", "not_built")
    build(house)
    assert drop_halfvec_table(house, halves.model)
    assert not drop_halfvec_table(house, halves.model)


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
    halves = HalfvecTable(HASHED.manifest)
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
    left = house.execute(text("SELECT to_regclass(:name)"), {"name": halfvec_index_name(halves.table)}).scalar_one()
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
