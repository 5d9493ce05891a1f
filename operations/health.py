"""How the site does: the database, the model, documents and what waits, memory against the limit."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models import Collection, Document, Embedding, Model, State, TagCount, TagEmbedding
from search.semantic import Semantic
from utils.kept import Kept
from utils.memory import MB, group_memory, process_memory

DEFAULT_LIMIT_MB = 512
# A platform asks for /health every few seconds, and counting 100,000 documents takes a tenth of one.
_EMBEDDED: Kept[int] = Kept(4)


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes used and allowed, and the share; `source` says whose figures they are."""

    used_mb: float
    limit_mb: float
    share: float
    source: str


def memory(limit_mb: int | None) -> Memory:
    """Return the memory used against MEMORY_LIMIT_MB, the control group's limit, or 512 MB."""
    group = group_memory()
    if group and group.limit:
        used, allowed, source = group.used / MB, group.limit / MB, "control group"
    else:
        # Without a limit of its own the group may hold the whole machine: only this app's processes are counted.
        used, allowed, source = app_bytes() / MB, float(DEFAULT_LIMIT_MB), "processes"
    allowed = float(limit_mb or allowed)
    return Memory(round(used, 1), round(allowed, 1), round(used / allowed, 3), source)


def app_bytes() -> int:
    """Return the PSS of the server's master and its workers, or of this process alone where there is no master."""
    import psutil

    me = psutil.Process()
    parent = me.parent()
    family = [me]
    if parent and "gunicorn" in " ".join(parent.cmdline()):
        family = [parent, *parent.children(recursive=True)]
    found = [process_memory(process.pid) for process in family]
    return sum(one.pss for one in found if one) or me.memory_info().rss


def processes() -> list[dict[str, Any]]:
    """Return the memory of this process in MB, by kind."""
    found = process_memory(os.getpid())
    if found is None:
        return []
    return [{"pid": found.pid} | {k: round(v / MB, 1) for k, v in asdict(found).items() if k != "pid"}]


def health(session: Session, semantic: Semantic, limit_mb: int | None) -> dict[str, Any]:
    """Return the figures of GET /health; `status` is `ok`, or `error` where the database is gone."""
    used = memory(limit_mb)
    base: dict[str, Any] = {
        "status": "ok",
        "database": "ok",
        "model": {
            "name": semantic.lazy.model,
            "state": semantic.state if semantic.lazy.state != "idle" else "idle",
            "loaded": semantic.lazy.state == "ready",
        },
        "model_loaded": semantic.lazy.state == "ready",
        "using_database_embeddings": True,
        "documents": 0,
        "documents_with_embeddings": 0,
        "memory": {"used_mb": used.used_mb, "limit_mb": used.limit_mb, "share": used.share},
    }
    try:
        base["documents"] = document_count(session)
        base["documents_with_embeddings"] = embedded_count(session, semantic.model_key)
    except SQLAlchemyError:
        session.rollback()
        return base | {"status": "error", "database": "unreachable"}
    return base


def document_count(session: Session) -> int:
    return session.execute(select(State.documents)).scalar_one()


def embedded_count(session: Session, model: int | None) -> int:
    """Return how many documents have an embedding of their present text; counted once for each version."""
    if model is None:
        return 0
    state = (str(session.get_bind().engine.url), model, session.execute(select(State.version)).scalar_one())
    counted = _EMBEDDED.recall(state)
    return _EMBEDDED.keep(state, _embedded_now(session, model)) if counted is None else counted


def _embedded_now(session: Session, model: int) -> int:
    rows = select(func.count()).select_from(Embedding).join(Document, Document.id == Embedding.document_id)
    return session.execute(
        rows.where(
            Embedding.model_id == model,
            Embedding.window == 0,
            Embedding.content_hash == Document.content_hash,
        )
    ).scalar_one()


def stats(session: Session, semantic: Semantic) -> dict[str, Any]:
    """Return what is stored, by table and by collection, and what waits for an embedding."""
    model = semantic.model_key
    documents, embedded = document_count(session), embedded_count(session, model)
    tags = session.execute(select(func.count(func.distinct(TagCount.tag_id)))).scalar_one()
    tags_embedded = (
        session.execute(
            select(func.count()).select_from(TagEmbedding).where(
                TagEmbedding.model_id == model, select(TagCount.tag_id).where(
                    TagCount.tag_id == TagEmbedding.tag_id).exists(),
            )
        ).scalar_one() if model is not None else 0
    )  # fmt: skip
    collections = session.execute(
        select(Collection.name, Collection.documents).where(Collection.documents > 0).order_by(Collection.name)
    )
    return {
        "documents": documents,
        "documents_with_embeddings": embedded,
        "documents_waiting": 0 if model is None else documents - embedded,
        "tags": tags,
        "tags_waiting": 0 if model is None else max(tags - tags_embedded, 0),
        "collections": [{"name": row.name, "documents": row.documents} for row in collections],
        "models": model_figures(session),
        "index": semantic.held_rows(),
        "index_bytes": semantic.held_bytes(),
        "version": session.execute(select(State.version)).scalar_one(),
    }


def model_figures(session: Session) -> list[dict[str, Any]]:
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
