"""pgvector's index and the one in memory at 100,000 x 384 on one PostgreSQL: recall, time here and there, memory.

Each is asked as the site asks it, filters and exact rescoring included. The vectors are those of benchmarks.vectors,
under a model of which nothing but its means is needed; tags let 0.1 %, 1 %, 10 %, 30 % and all of the documents pass.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from benchmarks.figures import Figure, tell
from benchmarks.vectors import ROWS, made
from encoders.manifest import Manifest
from indexes.choice import VectorIndex, Wanted
from indexes.filters import Filter
from indexes.pgvector import FOR_THIS, NARROW, SEARCHED, table_state
from indexes.pgvector_build import HalfvecTable, build_index, building, make_extension
from search.embeddings import THEN, EmbeddingIndex
from search.query import Query
from tests.conftest import migrate
from tests.databases import PostgresServer, embedded_programs
from tests.stored_vectors import Vectors
from utils.memory import MB

SHARES = {"0.1 %": 0.001, "1 %": 0.01, "10 %": 0.1, "30 %": 0.3, "100 %": 1.0}
MEMORY_MB = 256  # what `flask vectors build` allows
SERVER = ("shared_buffers=256MB",)
# e5's weight of what texts say beside their language; 0 is that of a model that was not measured.
WEIGHTS = (1.0, 0.0)
EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF) "


def vectors() -> Vectors:
    random = np.random.default_rng(1)
    passages, queries = made(random)
    tagged = {name: np.sort(random.choice(ROWS, int(ROWS * share), replace=False)) for name, share in SHARES.items()}
    keys = np.unique(random.integers(0, 2**62, ROWS + 1_000))[:ROWS]
    random.shuffle(keys)
    return Vectors(passages, queries, keys, tagged)


@contextmanager
def database() -> Iterator[Engine]:
    server = PostgresServer(embedded_programs(), migrate, settings=SERVER)
    try:
        with server.fresh(Path()) as url:
            engine = create_engine(url)
            yield engine
            engine.dispose()
    finally:
        server.stop()


def built(engine: Engine, session: Session, manifest: Manifest) -> list[Figure]:
    halves = HalfvecTable(manifest)
    make_extension(session)
    began = time.monotonic()
    with building(engine, halves.model, MEMORY_MB) as connection:
        halves.make(session)
        halves.fill(session)
        filled_s = time.monotonic() - began
        build_index(connection, session, halves, lambda *_: None)
    whole_s = time.monotonic() - began
    state = table_state(session, halves.table)
    session.commit()
    return [
        Figure("pgvector: the table filled", filled_s, "s"),
        Figure(f"pgvector: its index built, {MEMORY_MB} MB allowed", whole_s - filled_s, "s"),
        Figure("pgvector: in the database", state.nbytes / MB if state else 0, "MB"),
    ]


def server_ms(session: Session, stored: EmbeddingIndex, given: Vectors, tag: str) -> float:
    """Return the milliseconds that the server says it took for pgvector's statement, planned and executed."""
    restriction = Query(tags=(tag,)).filter() if tag else Filter()
    is_narrow = bool(tag) and len(given.tagged[tag]) < NARROW
    statement = stored.halfvec.exact(restriction) if is_narrow else stored.halfvec.graph(restriction)
    spent = []
    for meaning in given.meanings(stored)[:50]:
        session.execute(text(FOR_THIS.format(ef=SEARCHED)))
        values = {"target": stored.halfvec.target(session, meaning), "most": THEN, **restriction.values}
        said = " ".join(session.execute(text(EXPLAIN + statement), values).scalars())
        spent.append(sum(float(one) for one in re.findall(r"(?:Planning|Execution) Time: ([\d.]+)", said)))
    return float(np.median(spent))


def measured(session: Session, stored: EmbeddingIndex, given: Vectors, name: str) -> list[Figure]:
    meanings = given.meanings(stored)
    stored.nearest(session, meanings[0], Filter())
    figures = [Figure(f"{name}: held by the process", stored.documents.nbytes / MB, "MB")]
    for tag in ("", *SHARES):
        restriction = Query(tags=(tag,)).filter() if tag else Filter()
        said = f"{name}, {f'filter {tag}' if tag else 'no filter'}"
        figures.append(Figure(f"{said}: recall@20", given.recall(session, stored, tag), bar=">= 0.97"))
        began, cpu = time.monotonic(), time.process_time()
        for meaning in meanings:
            stored.nearest(session, meaning, restriction)
        spent, spent_cpu = time.monotonic() - began, time.process_time() - cpu
        figures.append(Figure(f"{said}: a query", spent_cpu * 1000 / len(meanings), "CPU ms"))
        figures.append(Figure(f"{said}: a query, with the database", spent * 1000 / len(meanings), "ms"))
        if stored.choice.serving.serves == "pgvector":
            figures.append(Figure(f"{said}: pgvector's part of it", server_ms(session, stored, given, tag), "ms"))
    session.rollback()
    return figures


def main() -> None:
    given, figures = vectors(), []
    wanted: Wanted
    for weight in WEIGHTS:
        with tempfile.TemporaryDirectory() as folder, database() as engine, Session(engine) as session:
            manifest = given.manifest(Path(folder), weight)
            given.store(session, manifest)
            made_figures = built(engine, session, manifest)
            figures += made_figures if weight else []
            for wanted in ("memory", "pgvector"):
                found = measured(session, EmbeddingIndex(manifest, VectorIndex(wanted)), given, wanted)
                figures += found if weight else [replace(one, name=f"without weight: {one.name}") for one in found[:2]]
    tell([replace(one, value=round(one.value, 3)) for one in figures])


if __name__ == "__main__":
    main()
