"""A collection of which only embeddings matter, clustered as texts are, and the model that they are said to be of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from encoders.manifest import Manifest
from indexes.filters import Filter
from indexes.similarity import QueryVector
from indexes.version import bump
from indexing.embedding import register_model
from models import Collection, Document, DocumentTag, Embedding, Tag, tag_number
from search.embeddings import EmbeddingIndex
from search.query import Query
from utils.int8 import Floats, compact
from utils.sql import freshen_statistics

AT_ONCE = 5_000
HASH = b"0" * 16
TOP = 20


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit passages (n, dim) in two halves as of two languages, queries, the documents' keys, and places by tag."""

    passages: Floats
    queries: Floats
    keys: NDArray[np.int64]
    tagged: Mapping[str, NDArray[np.int64]]

    @property
    def mean(self) -> Floats:
        mean: Floats = self.passages.mean(axis=0)
        return mean

    def manifest(self, folder: Path, weight: float = 1.0) -> Manifest:
        """Return a model with the means of the vectors, of all and of each half; `weight` as in a manifest."""
        parts = np.array_split(self.passages, 2)
        means = [[self.mean, *(part.mean(axis=0) for part in parts)], [self.queries.mean(axis=0)] * 3]
        np.save(folder / "means.npy", np.array(means, np.float32))
        return Manifest(
            name="made", dim=self.passages.shape[1], max_tokens=512, score_low=0, score_high=1, score_floor=0,
            tag_low=0.5, tag_high=0.5, checksum=f"made-{weight}", folder=folder, means="means.npy",
            centred_weight=weight,
        )  # fmt: skip

    def store(self, session: Session, manifest: Manifest) -> None:
        """Write documents with their tags and embeddings, and the model."""
        session.add(Collection(id=1, name="made", documents=len(self.keys)))
        session.add_all([Tag(id=tag_number(name), name=name, key=name) for name in self.tagged])
        session.flush()
        self._store_documents(session, register_model(session, manifest))
        for name, places in self.tagged.items():
            rows = [{"document_id": one, "tag_id": tag_number(name), "place": 0} for one in self.keys[places].tolist()]
            session.execute(DocumentTag.__table__.insert(), rows)  # type: ignore[attr-defined]
        bump(session)
        session.commit()
        freshen_statistics(session)

    def _store_documents(self, session: Session, model: int) -> None:
        blank = dict.fromkeys(("title", "body", "language", "source", "url", "licence"), "")
        same = {"collection_id": 1, "extra": {}, "row_hash": HASH, "content_hash": HASH, "added_at": 0, "changed_at": 0}
        window = {"model_id": model, "window": 0, "start": 0, "end": 0, "content_hash": HASH}
        for start in range(0, len(self.keys), AT_ONCE):
            keys = self.keys[start : start + AT_ONCE].tolist()
            rows = [{"id": key, "own_id": str(key), **blank, **same} for key in keys]
            session.execute(Document.__table__.insert(), rows)  # type: ignore[attr-defined]
            stored = zip(keys, compact(self.passages[start : start + AT_ONCE], self.mean), strict=True)
            found = [{"document_id": key, "vector": vector, **window} for key, vector in stored]
            session.execute(Embedding.__table__.insert(), found)  # type: ignore[attr-defined]

    def meanings(self, stored: EmbeddingIndex) -> list[QueryVector]:
        means = stored.passages, stored.questions
        return [QueryVector.of_question(query, *means, stored.manifest, 0.0) for query in self.queries]

    def recall(self, session: Session, stored: EmbeddingIndex, tag: str = "") -> float:
        """Return the share of the truly nearest 20 that are among the first 20 found, with a tag demanded or none."""
        restriction = Query(tags=(tag,)).filter() if tag else Filter()
        places = self.tagged[tag] if tag else np.arange(len(self.keys))
        rows, hits = (self.passages - self.mean)[places], 0
        for meaning in self.meanings(stored):
            best = self.keys[places[np.argsort(-meaning.similarities(rows, stored.passages.groups(rows))[0])[:TOP]]]
            hits += len(set(best.tolist()) & set(list(stored.nearest(session, meaning, restriction))[:TOP]))
        return hits / (min(TOP, len(places)) * len(self.queries))


def clustered(count: int, dim: int, queries: int, shares: Mapping[str, float]) -> Vectors:
    """Return vectors in clusters that share a large mean and spread unevenly, as those of texts do; tags on shares."""
    random = np.random.default_rng(7)
    spread = random.standard_normal((dim, dim)) * np.exp(-4 * np.arange(dim) / dim)[:, None]
    centres = random.standard_normal((count // 50, dim)).astype(np.float32)
    latent = centres[random.integers(0, len(centres), count)] * 0.8 + random.standard_normal((count, dim))
    rows = latent @ spread
    mean = random.standard_normal(dim)
    mean *= 2 * np.linalg.norm(rows, axis=1).mean() / np.linalg.norm(mean)
    near = latent[random.integers(0, count, queries)] + 0.5 * random.standard_normal((queries, dim))
    tagged = {name: np.sort(random.choice(count, int(count * share), replace=False)) for name, share in shares.items()}
    keys = np.unique(random.integers(0, 2**62, count + 1_000))[:count]
    random.shuffle(keys)
    return Vectors(unit(rows + mean), unit(near @ spread + mean), keys, tagged)


def unit(rows: NDArray[np.floating]) -> Floats:
    lengths: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return lengths
