"""Which model is in use, stored for all processes, and deletion of embeddings of other models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from encoders.manifest import Manifest
from indexes.packing import drop_packed
from indexes.pgvector_build import drop_halfvec_table
from indexes.version import bump
from indexing.embedding import register_model, waiting_documents, waiting_tags
from models import Embedding, Model, State, TagEmbedding
from utils.sql import among

DOCUMENTS_AT_ONCE = 500  # whose embeddings are deleted per transaction, so that others can write in between


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model and its numbers of chunk and tag embeddings."""

    key: int
    name: str
    dim: int
    checksum: str
    embeddings: int
    tags: int


def stored_models(session: Session) -> list[StoredModel]:
    rows = select(Model.id, Model.name, Model.dim, Model.checksum).order_by(Model.name, Model.checksum)
    tables = Embedding, TagEmbedding
    counts = [select(func.count()).where(table.model_id == bindparam("model")) for table in tables]
    return [
        StoredModel(*row, *(session.execute(count, {"model": row.id}).scalar_one() for count in counts))
        for row in session.execute(rows).all()
    ]


def chosen_key(session: Session) -> int | None:
    """Return the key of the model that the site was switched to; None if the setting decides."""
    return session.execute(select(State.model_id).where(State.id == 1)).scalar_one()


def missing_models(session: Session, key: int) -> tuple[int, int]:
    """Return the numbers of documents and tags without an embedding under a model."""
    return waiting_documents(session, key), waiting_tags(session, key)


def switch(session: Session, manifest: Manifest) -> None:
    """Switch to a model; every process follows at its next semantic search."""
    key = register_model(session, manifest)
    bump(session)
    session.execute(update(State).where(State.id == 1).values(model_id=key))
    session.commit()


def drop_model(session: Session, key: int, on_deleted: Callable[[int], object] = lambda _: None) -> None:
    """Delete a model and its embeddings in small transactions; an interrupted run can be repeated."""
    drop_halfvec_table(session, key)
    some = select(Embedding.document_id).where(Embedding.model_id == key).distinct().limit(DOCUMENTS_AT_ONCE)
    while documents := session.execute(some).scalars().all():
        conditions = (among(Embedding.document_id, documents), Embedding.model_id == key)
        deleted = session.execute(delete(Embedding).where(*conditions))
        session.commit()
        on_deleted(deleted.rowcount)  # type: ignore[attr-defined]
    drop_packed(session, key)
    deleted = session.execute(delete(TagEmbedding).where(TagEmbedding.model_id == key))
    session.execute(delete(Model).where(Model.id == key))
    session.commit()
    on_deleted(deleted.rowcount)  # type: ignore[attr-defined]
