"""AlephBERT's shape in a hard limit: 20,000 documents of 768 wide, SQLite and PostgreSQL, one worker, 8 clients.

The weights are random, and so are the stored embeddings: memory and speed do not depend on their values. Make the model
first, in the environment that prepares models: .venv-prepare/bin/python -m benchmarks.alephbert_shape
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from benchmarks.figures import WORK, Figure, flask, tell
from benchmarks.quality import postgresql
from benchmarks.server import MODES, Server, documents, first_semantic_s, hammered, rows, served, warm_cpu_ms
from encoders.manifest import Manifest, read_manifest
from indexing.embedding import passages, register_model
from models import Document, Embedding, Tag, TagEmbedding
from utils.int8 import compact
from utils.sql import freshen_statistics

MODELS = WORK.parent / "models"
MODEL = {"SEMANTIC_MODEL": "alephbert", "MODELS_DIR": str(MODELS)}
DOCUMENTS, SEARCHES, EMBEDDED_BESIDE, IDLE_S = 20_000, 2_000, 2_000, 20
SETTLED_S = 3  # the model is gone at once; its memory, the index and idle connections go right after it


def many() -> Iterator[dict[str, object]]:
    """Yield documents without end: after all that there are, the same again under other ids."""
    turn = 0
    while True:
        for row in documents():
            yield row | {"id": f"{row['id']}-{turn}", "title": f"{row.get('title', '')} {turn or ''}".strip()}
        turn += 1


def prepared(name: str, **environment: str) -> Path:
    """Return an instance folder with the documents and random embeddings; SQLite's is kept for the next run."""
    instance = WORK / f"alephbert-{name}"
    if (instance / "whole").exists():
        flask(instance, "db", "upgrade")  # it may be of an earlier version
        return instance
    shutil.rmtree(instance, ignore_errors=True)
    instance.mkdir(parents=True)
    with (instance / "many.jsonl").open("w", encoding="utf-8") as file:
        for row in islice(many(), DOCUMENTS):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    flask(instance, "db", "upgrade", **environment)
    flask(instance, "import", str(instance / "many.jsonl"), "--collection", "many", **environment)
    url = environment.get("DATABASE_URL", f"sqlite:///{instance / 'matmon.db'}")
    embed_at_random(url.replace("postgresql://", "postgresql+psycopg2://"), read_manifest(MODELS / "alephbert"))
    if not environment:
        (instance / "whole").touch()
    return instance


def embed_at_random(url: str, manifest: Manifest) -> None:
    chance = np.random.default_rng(5)
    engine = create_engine(url)
    with Session(engine) as session:
        model = register_model(session, manifest)
        columns = select(Document.id, Document.title, Document.body, Document.content_hash)
        for part in in_parts(session.execute(columns).all(), 500):
            places = [(row, place, *each) for row in part for place, each in enumerate(passages(row.title, row.body))]
            values = [
                {"document_id": row.id, "model_id": model, "window": place, "start": start, "end": end,
                 "content_hash": row.content_hash, "vector": vector}
                for (row, place, start, end, _), vector in zip(
                    places, at_random(chance, len(places), manifest.dim), strict=True
                )
            ]  # fmt: skip
            session.execute(Embedding.__table__.insert(), values)  # type: ignore[attr-defined]
        for tags in in_parts(session.execute(select(Tag.id)).scalars().all(), 5_000):
            vectors = at_random(chance, len(tags), manifest.dim)
            found = [{"model_id": model, "tag_id": tag, "vector": v} for tag, v in zip(tags, vectors, strict=True)]
            session.execute(TagEmbedding.__table__.insert(), found)  # type: ignore[attr-defined]
        session.commit()
        freshen_statistics(session)
    engine.dispose()


def in_parts(found: Sequence, size: int) -> Iterator[Sequence]:
    for start in range(0, len(found), size):
        yield found[start : start + size]


def at_random(chance: np.random.Generator, count: int, dim: int) -> list[bytes]:
    vectors = chance.standard_normal((count, dim), dtype=np.float32)
    return compact(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.zeros(dim, np.float32))


def questions() -> list[str]:
    """Return texts all different, more than are asked."""
    return [row["text"] for row in rows("heq_queries")] + [row["he"] for row in rows("he_en_pairs")]


def measured(name: str, instance: Path, **environment: str) -> list[Figure]:
    """Return the figures of one server's life: at rest, words alone, everything, idle again."""
    texts = questions()
    settings = MODEL | {"MODEL_IDLE_SECONDS": str(IDLE_S)} | environment
    with served(instance, **settings) as server:
        at_rest = server.pss_mb()
        with peak_of(server) as words:
            statuses = hammered(server, texts, 300, ("text",))
            statuses += hammered(server, tag_names(), 100, ("tags",))
        began = time.monotonic()
        by_words_s = answered_by_words_s(server)
        first = by_words_s + first_semantic_s(server) if by_words_s else time.monotonic() - began
        spent = {mode: warm_cpu_ms(server, mode, texts[n * 150 :]) for n, mode in enumerate(MODES)}
        statuses += hammered(server, texts, SEARCHES)
        loaded = server.pss_mb()
        idle = idle_mb(server)
        peaks = server.stop()
    return [
        Figure(f"{name}: at rest, PSS of all processes", round(at_rest, 1), "MB", "<= 90"),
        Figure(f"{name}: 400 searches by text and by tags alone, peak PSS", round(max(words), 1), "MB", "<= 120"),
        Figure(f"{name}: first search, its words", round(by_words_s, 2), "s"),
        Figure(f"{name}: first search, the model loaded within it", round(first, 2), "s", "<= 1.5"),
        *[
            Figure(
                f"{name}: warm {mode} search, whole request",
                round(ms, 1),
                "CPU ms",
                "<= 40" if mode == "semantic" else "",
            )
            for mode, ms in spent.items()
        ],
        Figure(f"{name}: with the model, after {SEARCHES} searches, PSS", round(loaded, 1), "MB"),
        Figure(f"{name}: peak anonymous memory", peaks["peak_anonymous_mb"], "MB", "<= 260"),
        Figure(f"{name}: after idle, PSS of all processes", round(idle, 1), "MB", "<= 115"),
        Figure(f"{name}: answers 5xx", sum(status >= 500 for status in statuses), "", "<= 0"),
        Figure(f"{name}: killed for memory", peaks["oom_kills"], "", "<= 0"),
    ]


@contextmanager
def peak_of(server: Server) -> Iterator[list[float]]:
    """Give the memory of all processes, looked at twenty times a second while the block runs."""
    seen, over = [server.pss_mb()], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            seen.append(server.pss_mb())

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield seen
    finally:
        over.set()
        watch.join()


def tag_names() -> list[str]:
    """Return the names of tags that documents have: what is stored is compared without the model."""
    return sorted({tag for row in rows("he_docs") for tag in row.get("tags", [])})


def answered_by_words_s(server: Server) -> float:
    """Return the seconds of the search that begins the loading, its words answered."""
    began = time.monotonic()
    server.search("איך חוסכים מים בבית", "hybrid")
    return time.monotonic() - began


def idle_mb(server: Server) -> float:
    """Return the memory after the model was unloaded."""
    until = time.monotonic() + 3 * IDLE_S
    while json.loads(server.get("/health")[1])["model_loaded"]:
        if time.monotonic() > until:
            raise RuntimeError("the model was not unloaded")
        time.sleep(0.5)
    time.sleep(SETTLED_S)
    return server.pss_mb()


def in_less(instance: Path) -> list[Figure]:
    """Return how the same goes under 384 MB."""
    with served(instance, "384M", **MODEL) as server:
        first_semantic_s(server)
        statuses = hammered(server, questions(), 400)
        peaks = server.stop()
    return [
        Figure("in 384 MB: peak anonymous memory", peaks["peak_anonymous_mb"], "MB"),
        Figure("in 384 MB: answers 5xx", sum(status >= 500 for status in statuses), "", "<= 0"),
        Figure("in 384 MB: killed for memory", peaks["oom_kills"], "", "<= 0"),
    ]


def embedding_beside(instance: Path) -> list[Figure]:
    """Return how `flask embed` goes in the server's own 512 MB while it serves, its model loaded."""
    copy = WORK / "alephbert-beside"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(instance, copy)
    with (copy / "fresh.jsonl").open("w", encoding="utf-8") as file:
        for number, row in enumerate(islice(rows("he_wordnet"), EMBEDDED_BESIDE)):
            fresh = {"id": f"fresh-{number}", "title": " ".join(row["words"]), "body": row["gloss"]}
            file.write(json.dumps(fresh, ensure_ascii=False) + "\n")
    flask(copy, "import", str(copy / "fresh.jsonl"), "--collection", "fresh")
    beside = (
        f"{sys.executable} -m flask --app app embed --collection fresh > {copy}/embed.log 2>&1; echo $? > {copy}/ended"
    )
    statuses: list[int] = []
    with served(copy, beside=beside, **MODEL) as server:
        first_semantic_s(server)
        began = time.monotonic()
        while not (copy / "ended").exists():
            statuses += hammered(server, questions(), 50)
        took = time.monotonic() - began
        peaks = server.stop()
    print((copy / "embed.log").read_text()[-300:])
    return [
        Figure(f"embed of {EMBEDDED_BESIDE} documents beside the server: exit", float((copy / "ended").read_text())),
        Figure("embed beside the server: took", round(took), "s"),
        Figure("embed beside the server: peak anonymous memory of both", peaks["peak_anonymous_mb"], "MB"),
        Figure("embed beside the server: answers 5xx", sum(status >= 500 for status in statuses), "", "<= 0"),
        Figure("embed beside the server: killed for memory", peaks["oom_kills"], "", "<= 0"),
    ]


def main() -> None:
    instance = prepared("sqlite")
    figures = measured("SQLite", instance)
    figures += in_less(instance)
    figures += embedding_beside(instance)
    with postgresql() as environment:
        figures += measured("PostgreSQL", prepared("postgresql", **environment), **environment)
    tell([Figure("documents", DOCUMENTS), *figures])


if __name__ == "__main__":
    main()
