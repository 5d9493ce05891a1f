"""Health of the site: database, model, embedded and waiting documents, memory against the limit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from indexes.access import hidden_collections
from models import Collection, Document, Embedding, Model, State, TagCount, TagEmbedding
from operations.database import ADVICE, DatabaseState
from operations.memory import Memory
from search.semantic import Semantic
from utils.database_faults import Fault
from utils.lru import LRUCache

# A platform polls /health every few seconds, and counting 100,000 documents takes 0.1 s.
LONG_S = 0.2
MANY = 100_000  # a slow count of fewer means that the host was busy
PAUSES = 60  # after a slow count, wait this many times as long as it took
QUERY_CANCELED = "57014"  # statement_timeout: too many to count within a request


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """Numbers of documents, of documents with a current embedding, and of those waiting for one."""

    documents: int
    with_embeddings: int
    waiting: int


def stored_counts(session: Session, semantic: Semantic) -> StoredCounts | None:
    """Return the counts; None if the database does not answer."""
    model = semantic.model.key
    try:
        session.execute(select(Document.id).limit(1))  # on a cluster, every server must answer
        documents, embedded = document_count(session), embedded_count(session, model)
    except SQLAlchemyError:
        session.rollback()
        return None
    return StoredCounts(documents, embedded, 0 if model is None else documents - embedded)


def health(semantic: Semantic, used: Memory, counts: StoredCounts | None, database: DatabaseState) -> dict[str, Any]:
    """Return the figures of GET /health, with what an operator should do.

    `status` is `error` if the database cannot be read, `degraded` if it cannot be written or the model cannot be used.
    """
    loaded = semantic.lazy.state == "ready"
    fault = database.fault() if counts else database.last or "unreachable"
    is_model_out = semantic.lazy.condition == "unavailable"
    model_advice = f"The model cannot be used: {semantic.lazy.error}" if is_model_out else None
    return {
        "status": status_of(fault, is_model_out),
        "database": fault or "ok",
        "advice": [sentence for sentence in (ADVICE.get(fault), model_advice) if sentence],
        "model": {"name": semantic.lazy.model, "state": semantic.lazy.condition, "loaded": loaded},
        "model_loaded": loaded,
        "using_database_embeddings": True,
        "documents": counts.documents if counts else 0,
        "documents_with_embeddings": counts.with_embeddings if counts else 0,
        "memory": {"used_mb": used.used_mb, "limit_mb": used.limit_mb, "share": used.share},
    }


def status_of(fault: Fault, is_model_out: bool) -> str:
    if fault in ("unreachable", "damaged", "no_tables"):
        return "error"
    return "degraded" if fault or is_model_out else "ok"


def document_count(session: Session) -> int:
    """Return the number of documents that the session may read."""
    total, hidden = session.execute(select(State.documents)).scalar_one(), hidden_collections(session)
    if not hidden:
        return total
    counted = select(func.coalesce(func.sum(Collection.documents), 0)).where(Collection.id.in_(hidden))
    return total - int(session.execute(counted).scalar_one())


def stats(session: Session, semantic: Semantic) -> dict[str, Any]:
    """Return the stored counts by table and collection, and what awaits an embedding."""
    model = semantic.model.key
    documents, embedded = document_count(session), embedded_count(session, model)
    mine = TagCount.collection_id.not_in(hidden_collections(session))
    tags = session.execute(select(func.count(func.distinct(TagCount.tag_id))).where(mine)).scalar_one()
    tags_embedded = (
        session.execute(
            select(func.count()).select_from(TagEmbedding).where(
                TagEmbedding.model_id == model, select(TagCount.tag_id).where(
                    TagCount.tag_id == TagEmbedding.tag_id, mine).exists(),
            )
        ).scalar_one() if model is not None else 0
    )  # fmt: skip
    collections = session.execute(
        select(Collection.name, Collection.documents)
        .where(Collection.documents > 0, Collection.id.not_in(hidden_collections(session)))
        .order_by(Collection.name)
    )
    return {
        "documents": documents,
        "documents_with_embeddings": embedded,
        "documents_waiting": 0 if model is None else documents - embedded,
        "tags": tags,
        "tags_waiting": 0 if model is None else max(tags - tags_embedded, 0),
        "collections": [{"name": row.name, "documents": row.documents} for row in collections],
        "models": model_status(session),
        "index": {name: size["rows"] for name, size in semantic.index_sizes().items()},
        "index_bytes": {name: size["bytes"] for name, size in semantic.index_sizes().items()},
        "version": session.execute(select(State.version)).scalar_one(),
    }


def model_status(session: Session) -> list[dict[str, Any]]:
    rows = (
        select(Model.name, Model.dim, Model.checksum, func.count(Embedding.document_id).label("windows"))
        .outerjoin(Embedding, Embedding.model_id == Model.id)
        .group_by(Model.id)
        .order_by(Model.name)
    )
    return [
        {"name": row.name, "dim": row.dim, "checksum": row.checksum[:12], "embeddings": row.windows}
        for row in session.execute(rows)
    ]


@dataclass(frozen=True, slots=True)
class _Count:
    """A count at one data version, when it was made, and how long it stays valid regardless of changes."""

    value: int
    version: int
    made_at: float
    rests_s: float

    def holds(self, version: int, now: float) -> bool:
        return version == self.version or now - self.made_at < self.rests_s


_COUNTS: LRUCache[_Count] = LRUCache(4)


def embedded_count(session: Session, model: int | None) -> int:
    """Return the number of documents with a current embedding; may lag where there are millions."""
    if model is None:
        return 0
    key = (str(session.get_bind().engine.url), model, hidden_collections(session))
    version, last = session.execute(select(State.version)).scalar_one(), _COUNTS.get(key)
    if last is None or not last.holds(version, time.monotonic()):
        last = _COUNTS.set(key, _counted(session, model, version, last.value if last else 0))
    return last.value


def _counted(session: Session, model: int, version: int, before: int) -> _Count:
    started, is_cut = time.monotonic(), False
    try:
        value = _embedded_now(session, model)
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != QUERY_CANCELED:
            raise
        session.rollback()
        value, is_cut = before, True
    took_s = time.monotonic() - started
    rests_s = took_s * PAUSES if is_cut or (took_s > LONG_S and value >= MANY) else 0.0
    return _Count(value, version, started, rests_s)


def _embedded_now(session: Session, model: int) -> int:
    rows = select(func.count()).select_from(Embedding).join(Document, Document.id == Embedding.document_id)
    return session.execute(
        rows.where(
            Embedding.model_id == model,
            Embedding.window == 0,
            Embedding.content_hash == Document.content_hash,
            Document.collection_id.not_in(hidden_collections(session)),
        )
    ).scalar_one()
