"""Embeddings for many documents without encoding them: mixtures of real ones of such texts, stored as the app stores.

A mixture of two real embeddings, and a part of what parts two others: mean, spread and neighbourhoods are those of e5.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session

from benchmarks.figures import ROOT, WORK
from benchmarks.growth_texts import documents
from encoders.manifest import load_means, read_manifest
from encoders.onnx_encoder import OnnxEncoder
from indexing.documents import bump
from indexing.embedding import passages, register_model
from models import Document, Tag
from utils.int8 import Floats, compact
from utils.sql import dialect, freshen_statistics

MODEL = Path("models") / "e5-small"
ENCODED, AT_ONCE = 400, 2_000  # documents
PARTED = 0.35
COLUMNS = ("document_id", "model_id", "window", "start", "end", "content_hash", "vector")
Row = tuple[Any, ...]


def real() -> Floats:
    """Return e5's embeddings of the windows of some documents; kept for the next run."""
    path = WORK / "growth" / f"real-{read_manifest(MODEL).checksum[:8]}.npy"
    if not path.exists():
        texts = [text for row in islice(documents(), ENCODED) for *_, text in passages(row["title"], row["body"])]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, OnnxEncoder(MODEL).encode_passages(texts))
    found: Floats = np.load(path)
    return found


class Mixtures:
    """Embeddings without end, always the same ones."""

    def __init__(self, of: Floats | None = None) -> None:
        self._real, self._chance = real() if of is None else of, np.random.default_rng(29)

    def compact(self, count: int, mean: Floats) -> list[bytes]:
        return compact(self.drawn(count), mean)

    def drawn(self, count: int) -> Floats:
        """Return the next embeddings, float32 of shape (count, dim)."""
        one, other, near, far = self._real[self._chance.integers(0, len(self._real), (4, count))]
        share = self._chance.uniform(0.5, 1, (count, 1)).astype(np.float32)
        mixed = share * one + (1 - share) * other + PARTED * (near - far)
        unit: Floats = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
        return unit


def embed_as_if(url: str) -> int:
    """Store embeddings of every document and tag of a database, and return how many windows there are.

    In a process of its own: where the app is loaded, psycopg2 waits as the app wants it to, and copies nothing.
    """
    command = [sys.executable, "-m", "benchmarks.growth_vectors", url]
    return int(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _embed(url: str) -> int:
    engine, mixtures, count = create_engine(url), Mixtures(), 0
    manifest = read_manifest(MODEL)
    means = load_means(manifest)[:, 0]
    with Session(engine) as session:
        model = register_model(session, manifest)
        tags = session.execute(select(Tag.id).order_by(Tag.id)).scalars().all()
        vectors = mixtures.compact(len(tags), means[1])
        store(engine, "tag_embedding", ("model_id", "tag_id", "vector"), [
            (model, tag, vector) for tag, vector in zip(tags, vectors, strict=True)
        ])  # fmt: skip
        for part in _parts(session):
            places = [(row, place, *each) for row in part for place, each in enumerate(passages(row.title, row.body))]
            stored = zip(places, mixtures.compact(len(places), means[0]), strict=True)
            store(engine, "embedding", COLUMNS, [
                (row.id, model, place, start, end, row.content_hash, vector)
                for (row, place, start, end, _), vector in stored
            ])  # fmt: skip
            count += len(places)
        bump(session)
        session.commit()
        freshen_statistics(session)
    engine.dispose()
    return count


def _parts(session: Session) -> Iterator[Sequence[Any]]:
    columns, last = select(Document.id, Document.title, Document.body, Document.content_hash), -1
    while found := session.execute(columns.where(Document.id > last).order_by(Document.id).limit(AT_ONCE)).all():
        session.rollback()
        yield found
        last = found[-1].id


def store(engine: Engine, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Write rows in one transaction as quickly as each database takes them."""
    names = ", ".join(f'"{name}"' for name in columns)
    connection = engine.raw_connection()
    try:
        if dialect_of(engine) == "postgresql":
            lines = io.StringIO("".join("\t".join(map(_copied, row)) + "\n" for row in rows))
            connection.cursor().copy_expert(f"COPY {table} ({names}) FROM STDIN", lines)
        else:
            marks = ", ".join("?" * len(columns))
            connection.cursor().executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
        connection.commit()
    finally:
        connection.close()


def dialect_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return dialect(connection)


def _copied(value: object) -> str:
    return "\\\\x" + value.hex() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    print(_embed(sys.argv[1]))
