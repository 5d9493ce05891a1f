"""The index of embeddings of large collections: packing, the first search after a start, searches, memory and recall.

100,000 documents of four chunks each on SQLite; EMBEDDING_SIZES names others, such as 1000000, which takes 3 GB.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks.figures import ROOT, WORK, Figure, flask, tell
from benchmarks.growth_vectors import COLUMNS, MODEL, Mixtures, store
from benchmarks.server import rows
from encoders.manifest import load_means, read_manifest
from encoders.onnx_encoder import OnnxEncoder
from indexes.choice import VectorIndex
from indexes.embedding_space import EmbeddingSpace
from indexes.filters import Filter
from indexes.packing import pack_embeddings
from indexes.similarity import QueryVector
from indexes.version import bump
from indexing.embedding import passages, register_model
from models import Collection, Tag, number, tag_number
from search.embeddings import EmbeddingIndex
from search.query import Query
from utils.int8 import Floats, compact
from utils.memory import MB, process_memory
from utils.sql import freshen_statistics, prepare_sqlite

SIZES = os.environ.get("EMBEDDING_SIZES", "100000")
EACH, AT_ONCE, TOP, QUERIES, PASSAGES = 4, 20_000, 20, 100, 2_500
SHARES = {"0.1 %": 0.001, "1 %": 0.01, "10 %": 0.1, "100 %": 1.0}
DOCUMENT = (
    "id", "collection_id", "own_id", "title", "body", "language", "source", "url", "licence", "extra", "row_hash",
    "content_hash", "added_at", "changed_at", "version",
)  # fmt: skip
HASH = b"0" * 16


def questions() -> Floats:
    """Return e5's embeddings of real questions; kept for the next run."""
    path = WORK / "growth" / f"questions-{read_manifest(MODEL).checksum[:8]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, OnnxEncoder(MODEL).encode_queries([row["text"] for row in rows("heq_queries")][:QUERIES]))
    found: Floats = np.load(path)
    return found


def passages_asked_about() -> Floats:
    """Return e5's embeddings of Hebrew texts, among them those that the questions are about; kept as well."""
    path = WORK / "growth" / f"passages-{read_manifest(MODEL).checksum[:8]}.npy"
    if not path.exists():
        texts = [[text for row in rows(name) for *_, text in passages(row["title"], row["body"])][:PASSAGES]
                 for name in ("heq_corpus", "he_docs")]  # fmt: skip
        np.save(path, OnnxEncoder(MODEL).encode_passages([*texts[0], *texts[1]]))
    found: Floats = np.load(path)
    return found


def made(folder: Path, size: int) -> str:
    """Fill a database with documents that have only embeddings and tags, beside it the truly nearest; kept as well."""
    path = folder / "matmon.db"
    if (folder / "nearest.json").exists():
        return f"sqlite:///{path}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    flask(folder, "db", "upgrade")
    engine, nearest = create_engine(f"sqlite:///{path}"), Nearest()
    manifest = read_manifest(MODEL)
    collection = number("collection", "many")
    with Session(engine) as session:
        model = register_model(session, manifest)
        session.add(Collection(id=collection, name="many", documents=size))
        session.add_all([Tag(id=tag_number(name), name=name, key=name) for name in SHARES])
        session.commit()
    for keys, tagged, vectors in parts(size):
        stored = compact(vectors, load_means(manifest)[0, 0])
        documents = [(key, collection, str(key), "", "", "", "", "", "", "{}", HASH, HASH, 0, 0, 0) for key in keys]
        store(engine, "document", DOCUMENT, documents)
        places = [(key, part) for key in keys for part in range(EACH)]
        store(engine, "embedding", COLUMNS, [
            (key, model, part, 0, 0, HASH, vector) for (key, part), vector in zip(places, stored, strict=True)
        ])  # fmt: skip
        store(engine, "document_tag", ("document_id", "tag_id", "place"), [
            (key, tag_number(name), 0) for name, some in tagged.items() for key in np.array(keys)[some].tolist()
        ])  # fmt: skip
        nearest.add(keys, tagged, vectors)
    with Session(engine) as session:
        bump(session)
        session.commit()
        freshen_statistics(session)
    (folder / "nearest.json").write_text(json.dumps(nearest.documents()))
    return f"sqlite:///{path}"


def parts(size: int) -> Iterator[tuple[list[int], dict[str, NDArray[np.bool_]], Floats]]:
    """Yield keys of documents, which of them have which tag, and the embeddings of their chunks."""
    chance, mixtures = np.random.default_rng(31), Mixtures(passages_asked_about())
    for start in range(0, size, AT_ONCE):
        count = min(AT_ONCE, size - start)
        keys = [number("document", "many", str(place)) for place in range(start, start + count)]
        drawn = chance.random(count)
        yield keys, {name: drawn < share for name, share in SHARES.items()}, mixtures.drawn(count * EACH)


class Nearest:
    """The documents truly nearest to each question, of all and of those with a tag, by exact float32."""

    def __init__(self) -> None:
        self._meanings = meanings()
        self._best: dict[str, list[list[tuple[float, int]]]] = {name: [[] for _ in self._meanings] for name in SHARES}

    def add(self, keys: list[int], tagged: dict[str, NDArray[np.bool_]], vectors: Floats) -> None:
        first = self._meanings[0]
        rows = vectors - first.passages.centre
        less_means = first.passages.less_means(rows, first.passages.groups(rows))
        less_means *= first.manifest.centred_weight / np.linalg.norm(less_means, axis=1, keepdims=True)
        asked = [np.stack([getattr(each, side) for each in self._meanings]) for side in ("vector", "direction")]
        similarities = asked[0] @ vectors.T + asked[1] @ less_means.T
        for place, best in enumerate(similarities.reshape(len(similarities), -1, EACH).max(axis=2)):
            for name, some in tagged.items():
                of_tag = np.flatnonzero(some)
                top = of_tag[np.argsort(-best[of_tag])[:TOP]]
                known = self._best[name][place] + [(float(best[each]), keys[each]) for each in top]
                self._best[name][place] = sorted(known, reverse=True)[:TOP]

    def documents(self) -> dict[str, list[list[int]]]:
        return {name: [[key for _, key in best] for best in each] for name, each in self._best.items()}


def meanings() -> list[QueryVector]:
    manifest = read_manifest(MODEL)
    index = EmbeddingIndex(manifest)
    return [QueryVector.of_question(vector, index.passages, index.questions, manifest, 0.0) for vector in questions()]


def packed(url: str) -> tuple[float, float]:
    """Pack the embeddings, and return the seconds and the processor's seconds."""
    engine = create_engine(url)
    prepare_sqlite(engine)
    began, spent = time.monotonic(), time.process_time()
    with Session(engine) as session:
        pack_embeddings(session, EmbeddingSpace.of(read_manifest(MODEL)))
    return time.monotonic() - began, time.process_time() - spent


def searched(folder: Path, url: str, is_measured: bool) -> dict[str, float]:
    """Search as a new process: seconds of the first search, processor ms of others, memory and recall."""
    engine = create_engine(url)
    prepare_sqlite(engine)
    index = EmbeddingIndex(read_manifest(MODEL), VectorIndex("memory", folder=folder / "index"))
    asked, figures = meanings(), {}
    before = anonymous_mb()
    with Session(engine) as session:
        began = time.monotonic()
        index.nearest(session, asked[0], Filter())
        figures["first"] = time.monotonic() - began
        if is_measured:
            began = time.process_time()
            for meaning in asked:
                index.nearest(session, meaning, Filter())
            figures["each"] = (time.process_time() - began) * 1000 / len(asked)
            figures |= recalls(session, index, asked, json.loads((folder / "nearest.json").read_text()))
    return figures | {"anonymous": anonymous_mb() - before, "mapped": index.documents.mapped_bytes / MB}


def recalls(
    session: Session, index: EmbeddingIndex, asked: list[QueryVector], nearest: dict[str, list[list[int]]]
) -> dict[str, float]:
    """Return the share of the truly nearest documents that are found, and the time that it takes, by tag."""
    figures = {}
    for name in SHARES:
        restriction = Query(tags=(name,)).filter() if name != "100 %" else Filter()
        index.nearest(session, asked[0], restriction)
        began, hits = time.process_time(), 0
        for meaning, truly in zip(asked, nearest[name], strict=True):
            hits += len(set(truly) & set(list(index.nearest(session, meaning, restriction))[:TOP]))
        figures[f"recall {name}"] = hits / sum(map(len, nearest[name]))
        figures[f"ms {name}"] = (time.process_time() - began) * 1000 / len(asked)
    return figures


def anonymous_mb() -> float:
    memory = process_memory(os.getpid())
    return memory.anonymous / MB if memory else 0.0


def apart(*arguments: str) -> dict[str, float]:
    """Run a part of this in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.embedding_index", *arguments]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measured(size: int) -> list[Figure]:
    folder = WORK / "embedding-index" / str(size)
    made(folder, size)
    seconds, spent = apart("pack", str(folder)).values()
    shutil.rmtree(folder / "index", ignore_errors=True)
    new, kept = apart("search", str(folder)), apart("measure", str(folder))
    name, bars = f"{size:,} documents", ("<= 0.3", "<= 5") if size <= 100_000 else ("<= 1.5", "<= 30")
    return [
        Figure(f"{name}: packed, if not before", round(seconds, 1), "s"),
        Figure(f"{name}: packed, processor time", round(spent * 1000 / size, 3), "ms each"),
        Figure(f"{name}: first search, from the database", round(new["first"], 2), "s", bars[0]),
        Figure(f"{name}: first search, with the file", round(kept["first"], 2), "s", bars[0]),
        Figure(f"{name}: a search without its encoding", round(kept["each"], 1), "CPU ms", bars[1]),
        Figure(f"{name}: mapped file", round(kept["mapped"], 1), "MB"),
        Figure(f"{name}: anonymous memory", round(kept["anonymous"], 1), "MB"),
        *(Figure(f"{name}, {part}: recall@20", round(kept[f"recall {part}"], 3), "", ">= 0.98") for part in SHARES),
        *(Figure(f"{name}, {part}: a search", round(kept[f"ms {part}"], 1), "CPU ms") for part in SHARES),
    ]


def main() -> None:
    if len(sys.argv) > 1:
        folder = Path(sys.argv[2])
        url = f"sqlite:///{folder / 'matmon.db'}"
        if sys.argv[1] == "pack":
            print(json.dumps(dict(zip(("s", "cpu"), packed(url), strict=True))))
        else:
            print(json.dumps(searched(folder, url, sys.argv[1] == "measure")))
        return
    questions()
    passages_asked_about()
    tell([figure for size in SIZES.split(",") for figure in measured(int(size))])


if __name__ == "__main__":
    main()
