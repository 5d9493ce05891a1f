"""Which model serves, written for every process to see; the embeddings of those that serve no more, deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from encoders.manifest import Manifest
from indexes.pgvector_table import drop_halves
from indexes.version import bump
from indexing.embedding import register_model, waiting_documents, waiting_tags
from models import Embedding, Model, State, TagEmbedding
from utils.sql import among

DOCUMENTS_AT_ONCE = 500  # whose embeddings are deleted in one transaction: others write in between


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model and how many embeddings there are of documents' windows and of tags."""

    key: int
    name: str
    dim: int
    checksum: str
    embeddings: int
    tags: int


def stored_models(session: Session) -> list[StoredModel]:
    rows = select(Model.id, Model.name, Model.dim, Model.checksum).order_by(Model.name, Model.checksum)
    found = []
    for key, name, dim, checksum in session.execute(rows).all():
        counts = (
            session.execute(select(func.count()).select_from(table).where(table.model_id == key)).scalar_one()
            for table in (Embedding, TagEmbedding)
        )
        found.append(StoredModel(key, name, dim, checksum, *counts))
    return found


def chosen_key(session: Session) -> int | None:
    """Return the key of the model that the site was switched to; None where the setting names it."""
    return session.execute(select(State.model_id).where(State.id == 1)).scalar_one()


def missing(session: Session, key: int) -> tuple[int, int]:
    """Return how many documents, and how many tags, have no embedding under a model."""
    return waiting_documents(session, key), waiting_tags(session, key)


def switch(session: Session, manifest: Manifest) -> None:
    """Let the model serve from now on; every process sees it at its next search by meaning."""
    key = register_model(session, manifest)
    bump(session)
    session.execute(update(State).where(State.id == 1).values(model_id=key))
    session.commit()


def drop(session: Session, key: int, on_deleted: Callable[[int], object] = lambda _: None) -> None:
    """Delete a model with its embeddings, some documents at a time; a killed run is gone on with by the next."""
    drop_halves(session, key)
    some = select(Embedding.document_id).where(Embedding.model_id == key).distinct().limit(DOCUMENTS_AT_ONCE)
    while documents := session.execute(some).scalars().all():
        here = (among(Embedding.document_id, documents), Embedding.model_id == key)
        deleted = session.execute(delete(Embedding).where(*here))
        session.commit()
        on_deleted(deleted.rowcount)  # type: ignore[attr-defined]
    deleted = session.execute(delete(TagEmbedding).where(TagEmbedding.model_id == key))
    session.execute(delete(Model).where(Model.id == key))
    session.commit()
    on_deleted(deleted.rowcount)  # type: ignore[attr-defined]
