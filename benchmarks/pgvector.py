"""pgvector's index and the one in memory at 100,000 x 384 on one PostgreSQL: recall, time here and there, memory.

Each is asked as the site asks it, filters and exact rescoring included. The vectors are those of benchmarks.vectors,
under a model of which nothing but its means is needed; tags let 0.1 %, 1 %, 10 % and all of the documents pass.
"""

from __future__ import annotations

import gc
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from benchmarks.figures import Figure, tell
from benchmarks.vectors import DIM, QUERIES, ROWS, TOP, made, own_bytes
from encoders.footprint import release_memory
from encoders.manifest import Manifest
from indexing.documents import bump
from indexing.embedding import register_model
from indexing.half_building import build_index, building, make_extension
from indexing.halves import Halves
from models import Collection, Document, DocumentTag, Embedding, Tag, tag_number
from search.filters import Filter
from search.index_choice import VectorIndex, Wanted
from search.meaning import Meaning
from search.query import Query
from search.stored import Stored
from tests.conftest import migrate
from tests.databases import PostgresServer, embedded_programs
from utils.memory import MB
from utils.pgvector import table_state
from utils.vectors import Floats, compact

SHARES = {"0.1 %": 0.001, "1 %": 0.01, "10 %": 0.1, "100 %": 1.0}
AT_ONCE = 5_000
MEMORY_MB = 256
# pgvector's scan of the graph reads 25 times as much as a small site's server keeps by default.
SERVER = ("shared_buffers=256MB", "max_parallel_maintenance_workers=1")


def model(folder: Path, passages: Floats, queries: Floats, weight: float) -> Manifest:
    """Return a model with the means of the vectors, in two groups, as languages are."""
    halves = passages[: ROWS // 2], passages[ROWS // 2 :]
    means = [[rows.mean(axis=0), *(part.mean(axis=0) for part in parts)]
             for rows, parts in ((passages, halves), (queries, (queries, queries)))]  # fmt: skip
    np.save(folder / "means.npy", np.array(means, np.float32))
    return Manifest(name="made", dim=DIM, max_tokens=512, score_low=0, score_high=1, score_floor=0, tag_low=0.5,
                    tag_high=0.5, checksum=f"made-{weight}", folder=folder, means="means.npy",
                    centred_weight=weight)  # fmt: skip


def fill(session: Session, keys: np.ndarray, tagged: dict[str, np.ndarray]) -> None:
    session.add(Collection(id=1, name="made", documents=ROWS))
    session.add_all([Tag(id=tag_number(name), name=name, key=name) for name in tagged])
    session.flush()
    blank = dict.fromkeys(("title", "body", "language", "source", "url", "licence"), "")
    same = {
        "collection_id": 1,
        "extra": {},
        "row_hash": b"0" * 16,
        "content_hash": b"0" * 16,
        "added_at": 0,
        "changed_at": 0,
    }
    for start in range(0, ROWS, AT_ONCE):
        rows = [{"id": key, "own_id": str(key), **blank, **same} for key in keys[start : start + AT_ONCE].tolist()]
        session.execute(Document.__table__.insert(), rows)  # type: ignore[attr-defined]
    for name, places in tagged.items():
        pairs = [{"document_id": key, "tag_id": tag_number(name), "place": 0} for key in keys[places].tolist()]
        session.execute(DocumentTag.__table__.insert(), pairs)  # type: ignore[attr-defined]
    session.commit()


def embed(session: Session, manifest: Manifest, keys: np.ndarray, passages: Floats, mean: Floats) -> None:
    number = register_model(session, manifest)
    for start in range(0, ROWS, AT_ONCE):
        stored = compact(passages[start : start + AT_ONCE], mean)
        same = {"model_id": number, "window": 0, "start": 0, "end": 0, "content_hash": b"0" * 16}
        some = zip(keys[start : start + AT_ONCE].tolist(), stored, strict=True)
        rows = [{"document_id": key, "vector": each, **same} for key, each in some]
        session.execute(Embedding.__table__.insert(), rows)  # type: ignore[attr-defined]
    bump(session)
    session.commit()
    session.execute(text("ANALYZE"))
    session.commit()


def built(engine: Engine, session: Session, manifest: Manifest) -> list[Figure]:
    halves = Halves(manifest)
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
    return [Figure("the table filled", filled_s, "s"), Figure("its index built", whole_s - filled_s, "s"),
            Figure("in the database", state.nbytes / MB if state else 0, "MB")]  # fmt: skip


def server_ms(session: Session, statement: str, values: dict[str, object]) -> float:
    told = session.execute(text(f"EXPLAIN (ANALYZE, TIMING OFF) {statement}"), values).scalars().all()
    session.rollback()
    return sum(float(found[1]) for line in told if (found := re.search(r"(?:Planning|Execution) Time: ([\d.]+)", line)))


def asked(stored: Stored, queries: Floats) -> list[Meaning]:
    directions = [stored.questions.direction(query) for query in queries]
    return [Meaning(query, stored.passages, direction, stored.manifest, 0.0)
            for query, direction in zip(queries, directions, strict=True)]  # fmt: skip


def true_best(meaning: Meaning, rows: Floats, places: np.ndarray) -> set[int]:
    similarities = meaning.similarities(rows[places])[0]
    return set(places[np.argsort(-similarities)[:TOP]].tolist())


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


def measured(
    session: Session, stored: Stored, meanings: Sequence[Meaning], rows: Floats, keys: np.ndarray,
    tagged: dict[str, np.ndarray],
) -> list[Figure]:  # fmt: skip
    place = {int(key): number for number, key in enumerate(keys.tolist())}
    before = own_bytes()
    stored.nearest(session, meanings[0], Filter())
    gc.collect()
    release_memory()
    name = stored.choice.serving.serves
    figures = [Figure(f"{name}: memory that the process took", (own_bytes() - before) / MB, "MB")]
    every = {"no filter": np.arange(ROWS), **tagged}
    for tag, places in every.items():
        restriction = Filter() if tag == "no filter" else Filter.of(Query(tags=(tag,)))
        stored.nearest(session, meanings[0], restriction)  # what is kept of a filter is kept
        hits, began, cpu = 0, time.monotonic(), time.process_time()
        found = [stored.nearest(session, meaning, restriction) for meaning in meanings]
        spent, spent_cpu = time.monotonic() - began, time.process_time() - cpu
        for meaning, near in zip(meanings, found, strict=True):
            hits += len({place[key] for key in list(near)[:TOP]} & true_best(meaning, rows, places))
        said = f"{name}, {tag}" if tag == "no filter" else f"{name}, filter {tag}"
        figures += [Figure(f"{said}: recall@20", hits / (TOP * len(meanings)), bar=">= 0.97"),
                    Figure(f"{said}: a query", spent_cpu * 1000 / len(meanings), "CPU ms"),
                    Figure(f"{said}: a query, with the database", spent * 1000 / len(meanings), "ms")]  # fmt: skip
    return figures


def main() -> None:
    random = np.random.default_rng(1)
    passages, queries = made(random)
    keys = np.sort(random.choice(2**62, ROWS, replace=False))
    tagged = {name: np.sort(random.choice(ROWS, int(ROWS * share), replace=False)) for name, share in SHARES.items()}
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, database() as engine, Session(engine) as session:
        weight = float(os.environ.get("CENTRED_WEIGHT", "1"))  # e5's; 0 is what a model has that was not measured
        manifest = model(Path(folder), passages, queries, weight)
        fill(session, keys, tagged)
        mean = passages.mean(axis=0)
        embed(session, manifest, keys, passages, mean)
        rows = passages - mean
        figures += built(engine, session, manifest)
        wanted: Wanted
        for wanted in ("memory", "pgvector"):
            stored = Stored(manifest, VectorIndex(wanted))
            figures += measured(session, stored, asked(stored, queries), rows, keys, tagged)
            session.rollback()
    tell([replace(one, value=round(one.value, 4)) for one in figures])


if __name__ == "__main__":
    assert QUERIES
    main()
