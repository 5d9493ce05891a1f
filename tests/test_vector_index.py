"""Which index serves and how well: pgvector's on a real one, and the one in memory beside it, on the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from encoders.manifest import Manifest
from indexes.choice import VectorIndex, Wanted
from indexes.filters import Filter
from indexes.pgvector_build import HalfvecTable, build_index, building, make_extension
from search.embeddings import EmbeddingIndex
from search.query import Query
from tests.conftest import Started
from tests.stored_vectors import Vectors, clustered
from utils.bit_rows import BitRows

ROWS, DIM = 12_000, 192
SHARES = {"0.1 %": 0.001, "1 %": 0.01, "10 %": 0.1, "100 %": 1.0}


@dataclass(frozen=True, slots=True)
class Built:
    session: Session
    vectors: Vectors
    manifest: Manifest

    def stored(self, wanted: Wanted, most_bytes: int = 0) -> EmbeddingIndex:
        return EmbeddingIndex(self.manifest, VectorIndex(wanted, most_bytes))


@pytest.fixture(scope="module")
def built(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder: Path = tmp_path_factory.mktemp("made")
    vectors = clustered(ROWS, DIM, 40, SHARES)
    manifest = vectors.manifest(folder)
    with started.maker("pgvector").fresh(folder) as url:
        engine = create_engine(url)
        with Session(engine) as session:
            vectors.store(session, manifest)
            halves = HalfvecTable(manifest)
            make_extension(session)
            with building(engine, halves.model, 64) as connection:
                halves.make(session)
                halves.fill(session)
                assert build_index(connection, session, halves, lambda *_: None)
                assert not build_index(connection, session, halves, lambda *_: None), "it is there already"
            yield Built(session, vectors, manifest)
        engine.dispose()


@pytest.mark.parametrize("wanted", ["memory", "pgvector"])
@pytest.mark.parametrize("tag", ["", *SHARES])
def test_the_nearest_are_found_whatever_the_filter_lets_pass(
    built: Built, wanted: Wanted, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.pgvector.NARROW", 1_000)  # so that 10 % and 100 % ask the graph
    monkeypatch.setattr("search.embeddings.NARROW", 1_000)
    stored = built.stored(wanted)
    assert built.vectors.recall(built.session, stored, tag) >= 0.97
    assert stored.choice.serving.serves == wanted


def test_the_two_give_the_same_scores(built: Built) -> None:
    one, other = built.stored("memory"), built.stored("pgvector")
    for meaning in built.vectors.meanings(one)[:10]:
        left, right = (each.nearest(built.session, meaning, Filter()) for each in (one, other))
        both = left.keys() & right.keys()
        assert {key: left[key] for key in both} == {key: right[key] for key in both}
        assert len(both) >= 60


def plan(built: Built, stored: EmbeddingIndex, statement: str, values: dict[str, object]) -> str:
    target = stored.halfvec.target(built.session, built.vectors.meanings(stored)[0])
    told = built.session.execute(text(f"EXPLAIN {statement}"), {"target": target, "most": 200, **values})
    return "\n".join(told.scalars())


def test_the_graph_is_used_where_all_may_pass_and_not_where_few_do(built: Built) -> None:
    stored, narrow = built.stored("pgvector"), Query(tags=("0.1 %",)).filter()
    graph = f"Index Scan using {stored.halfvec.index}"
    assert graph in plan(built, stored, stored.halfvec.graph(Filter()), {})
    wide = Query(tags=("100 %",)).filter()
    assert graph in plan(built, stored, stored.halfvec.graph(wide), dict(wide.values))
    for restriction in (narrow, Filter()):
        assert graph not in plan(built, stored, stored.halfvec.exact(restriction), dict(restriction.values))


def test_auto_takes_pgvector_where_memory_would_hold_too_much(built: Built) -> None:
    need = ROWS * BitRows.compared_bytes(DIM)
    for most_bytes, serves, why in ((need, "memory", "fits"), (need - 1, "pgvector", "larger")):
        stored = built.stored("auto", most_bytes)
        assert len(stored.nearest(built.session, built.vectors.meanings(stored)[0], Filter())) > 100
        assert (stored.choice.serving.serves, stored.choice.serving.why) == (serves, why)
        assert stored.choice.serving.rows == ROWS
    assert stored.documents.size == 0
    assert (stored.choice.serving.nbytes or 0) > ROWS * 2 * DIM


def test_memory_is_given_back_when_pgvector_takes_over(built: Built) -> None:
    stored = built.stored("auto", 2**40)
    meaning = built.vectors.meanings(stored)[0]
    stored.nearest(built.session, meaning, Filter())
    assert stored.documents.size == ROWS
    stored.choice = built.stored("pgvector").choice
    stored.nearest(built.session, meaning, Filter())
    assert stored.documents.nbytes == 0


def test_what_is_chosen_costs_a_search_one_statement_while_nothing_changes(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = built.stored("pgvector")
    meaning = built.vectors.meanings(stored)[0]
    stored.nearest(built.session, meaning, Filter())
    monkeypatch.setattr(stored.choice, "_look", lambda _: pytest.fail("it looked though nothing changed"))
    stored.nearest(built.session, meaning, Filter())
