"""Indexes the words of documents that are stored already: after an upgrade, batch by batch, while the site serves."""

from __future__ import annotations

import threading

from sqlalchemy import delete, func, inspect, select, text, update
from sqlalchemy.orm import Session

from indexes.merging import compact_segments, merge_segments
from indexes.segments import DOCUMENTS, VOCABULARY, drop_segments, indexed_keys, listed_segments
from indexes.version import Snapshot, caught_up, read_snapshot
from indexes.words import index_words, unindex_words
from indexing.backup import DOCUMENT, document_tag_names
from indexing.documents import Analysed
from models import KEPT_CHANGES, Change, Document, Form, State
from utils.sql import among, dialect
from utils.terms import INDEX_VERSION

BATCH, BATCH_CHARACTERS = 1_000, 700_000


def needs_indexing(session: Session) -> bool:
    """Return whether documents await the index, or it was made by another version of the analysis."""
    caught_up(session)
    return read_snapshot(session).is_indexing


def index_stored(session: Session, stop: threading.Event) -> int:
    """Index all documents that await it, and return their number; a later call continues after a stop."""
    count = 0
    while not stop.is_set() and needs_indexing(session):
        count += _index_batch(session)
        merge_segments(session)
    compact_segments(session, count)
    return count


def _index_batch(session: Session) -> int:
    """Index the next documents in key order in one transaction, and return their number."""
    session.execute(update(State).where(State.id == 1).values(version=State.version))  # other writers wait
    snapshot = read_snapshot(session)
    indexed_to = snapshot.indexed_to
    if snapshot.analysis != INDEX_VERSION or not _index_unknown(session, snapshot):
        _begin_again(session)
        indexed_to = -1
    elif indexed_to is None:
        session.commit()
        return 0
    sizes = select(Document.id, func.length(Document.title) + func.length(Document.body))
    following = sizes.where(Document.id > indexed_to).order_by(Document.id).limit(BATCH)
    numbers = _within_bounds([(row[0], row[1]) for row in session.execute(following)])
    missing = set(numbers) - indexed_keys(session, DOCUMENTS, numbers)
    if missing:
        index_words(session, {new.number: new.words for new in _stored(session, sorted(missing))})
    last = numbers[-1] if numbers else None
    values = {"indexed_to": last, "analysis": INDEX_VERSION, "indexed_version": State.version}
    session.execute(update(State).where(State.id == 1).values(values))
    session.commit()
    return len(missing)


def _index_unknown(session: Session, snapshot: Snapshot) -> bool:
    """Index what a former release wrote beside this one; return False if that is too much, or not known any more."""
    known = snapshot.indexed_version
    if known == snapshot.version:
        return True
    if known is None or known < snapshot.version - KEPT_CHANGES:
        return False
    written = set(session.execute(select(Document.id).where(Document.version > known).limit(BATCH)).scalars())
    changed = select(Change.document_id).where(Change.version > known).limit(BATCH)
    every = written | set(session.execute(changed).scalars())
    if len(every) >= BATCH:
        return False
    unindex_words(session, sorted(every))
    stored = _stored(session, sorted(every))
    if stored:
        index_words(session, {new.number: new.words for new in stored})
    session.execute(update(State).where(State.id == 1).values(indexed_version=State.version))
    return True


def _within_bounds(sizes: list[tuple[int, int]]) -> list[int]:
    """Return the first documents that have BATCH_CHARACTERS together; at least one."""
    numbers: list[int] = []
    total = 0
    for number, characters in sizes:
        total += characters
        if numbers and total > BATCH_CHARACTERS:
            break
        numbers.append(number)
    return numbers


def _stored(session: Session, numbers: list[int]) -> list[Analysed]:
    tags = document_tag_names(session, numbers)
    rows = session.execute(select(DOCUMENT).where(among(Document.id, numbers)))
    return [Analysed.of(dict(zip(row._fields, row, strict=True)), tuple(tags.get(row.id, ()))) for row in rows]


def _begin_again(session: Session) -> None:
    for kind in (DOCUMENTS, VOCABULARY):
        drop_segments(session, listed_segments(session, kind))
    session.execute(delete(Form))


def empty_former_index(session: Session) -> None:
    """Delete the rows of the index of former releases, whose tables stay, and commit."""
    if not inspect(session.connection()).has_table("words"):
        return
    if session.execute(text("SELECT 1 FROM words LIMIT 1")).first() is None:
        return
    if dialect(session) == "sqlite":
        session.execute(text("INSERT INTO words_fts(words_fts) VALUES ('delete-all')"))
    for table in ("words", "term"):
        session.execute(text(f"DELETE FROM {table}"))
    session.commit()
