"""Erases a document with every trace of it: texts, indexes, tags, screenings, uploads, caches, freed space."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, func, inspect, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from indexes.forgetting import forget_packed, forget_words
from indexes.merging import lock_writers
from indexing.documents import delete_documents
from indexing.reindexing import empty_former_index
from jobs.claims import RUNNING, is_cut_off
from jobs.imports import options_of
from jobs.uploads import AT_WORK, rejects_path, upload_path, without_rejects
from models import (
    HALF_TABLES,
    Base,
    DocumentTag,
    Embedding,
    ImportChange,
    Job,
    Screening,
    ScreeningResult,
    Tag,
    TagEmbedding,
    document_number,
)
from operations.audit import forget_in_audit
from screening.columns import columns
from screening.store import delete_screening
from utils.free_space import erase_free_space

log = logging.getLogger("matmon.forgetting")


@dataclass(frozen=True, slots=True)
class Places:
    """Where traces of documents are beside the database: folders, and caches.

    `empty_caches` returns how many values were in a shared one, or None if it did not answer.
    """

    uploads: Path
    index: Path
    empty_caches: Callable[[], int | None]


@dataclass(slots=True)
class Forgotten:
    """What was removed, by name; `left` says what could not be."""

    counts: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    @property
    def is_stored(self) -> bool:
        """Whether the document was there; traces of one deleted before are removed as well."""
        return bool(self.counts["documents"])


def forget_document(session: Session, collection: str, own_id: str, places: Places) -> Forgotten:
    """Erase a document with every trace that this site has of it, and commit. Backups are not touched.

    Each step commits, and all of them may be repeated: after an interruption, call it again.
    """
    number, forgotten = document_number(collection, own_id), Forgotten()
    counts = forgotten.counts
    counts["embeddings"] = _count(session, Embedding, number)
    counts["screening results"] = _count(session, ScreeningResult, number)
    counts["import changes"] = _count(session, ImportChange, number)
    counts["documents"] = delete_documents(session, [number])
    for table in (ScreeningResult, ImportChange):
        session.execute(delete(table).where(table.document_id == number))
    session.commit()
    counts["screenings of this job"] = _delete_screenings_of(session, collection, own_id)
    counts["screenings cleaned"] = _clean_screenings(session, collection)
    counts["tags"] = _delete_unused_tags(session)
    counts["word segments"], counts["word forms"] = forget_words(session)
    counts["embedding segments"] = forget_packed(session, number, places.index)
    empty_former_index(session)
    counts["files"] = _delete_files(session, collection, places.uploads)
    counts["audit entries"] = forget_in_audit(session, collection, own_id)
    session.commit()
    cached = places.empty_caches()
    counts["cached answers"] = cached or 0
    forgotten.left += ["cache"] if cached is None else []
    _erase(session, forgotten)
    return forgotten


def _count(session: Session, table: Any, number: int) -> int:
    counted = select(func.count()).select_from(table).where(table.document_id == number)
    return int(session.execute(counted).scalar_one())


def _delete_screenings_of(session: Session, collection: str, own_id: str) -> int:
    """Delete the screenings against the document, if it is a job: its title and skills are copied there."""
    of_it = select(Screening.id).where(Screening.jobs == collection, Screening.job_id == own_id)
    screenings = session.execute(of_it).scalars().all()
    for screening in screenings:
        delete_screening(session, screening)
    return len(screenings)


def _clean_screenings(session: Session, collection: str) -> int:
    """Read anew what screenings hold of the collection's columns and tags; those that ended rank again."""
    mine = Screening.profiles == collection
    values = {"columns": [column.as_json() for column in columns(session, collection)]}
    unranked = {"vocabulary": {}, "basis": "", "version": 0, "claim": 0}
    cleaned = session.execute(update(Screening).where(mine).values(values | unranked))
    ended = Screening.state.in_(("done", *RUNNING))
    session.execute(update(Screening).where(mine, ended).values(state="waiting"))
    session.commit()
    return cleaned.rowcount  # type: ignore[attr-defined, no-any-return]


def _delete_unused_tags(session: Session) -> int:
    """Delete tags that no document has, with their embeddings."""
    lock_writers(session)
    used_by_tag = ~exists().where(DocumentTag.tag_id == Tag.id)
    unused = session.execute(select(Tag.id).where(used_by_tag)).scalars().all()
    for tag in unused:
        session.execute(delete(TagEmbedding).where(TagEmbedding.tag_id == tag))
        session.execute(delete(Tag).where(Tag.id == tag))
    session.commit()
    return len(unused)


def _delete_files(session: Session, collection: str, folder: Path) -> int:
    """Delete what was uploaded for the collection, and what its imports' reports hold of rows that were refused."""
    deleted = 0
    for job in session.execute(select(Job).where(Job.kind == "import")).scalars().all():
        is_at_work = job.state in AT_WORK and not is_cut_off(job)
        if options_of(job).collection != collection or is_at_work:
            continue
        for file in (upload_path(folder, job), rejects_path(folder, job)):
            deleted += file.exists()
            file.unlink(missing_ok=True)
        job.report = without_rejects(job)
    session.commit()
    return deleted


def _erase(session: Session, forgotten: Forgotten) -> None:
    engine: Any = session.get_bind()
    try:
        if not erase_free_space(engine, _tables(session)):
            forgotten.left.append("log")
    except DBAPIError as error:
        session.rollback()
        log.warning("the freed space could not be erased: %s", str(error.orig)[:300])
        forgotten.left.append("space")


def _tables(session: Session) -> tuple[str, ...]:
    """Return the names of the tables that are in the database: the models', and those in half precision."""
    stored = set(inspect(session.connection()).get_table_names())
    session.rollback()
    names = {table.name for table in Base.metadata.sorted_tables} & stored
    return tuple(sorted(names | {name for name in stored if name.startswith(HALF_TABLES)}))
