"""Documents for tests, and what must hold of the tables whatever was written."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from indexing.documents import NewDocument, delete_documents, write_documents
from models import (
    Collection,
    Document,
    DocumentTag,
    Embedding,
    State,
    TagCount,
    Term,
    Words,
    document_number,
)
from search.query import Query
from search.text import TextMatches, TextQuery
from tests.shared import shared_rows
from utils.bm25 import unpack
from utils.sql import by_dialect
from utils.terms import Terms, document_terms

COLLECTION = "documents"


def document(own_id: str, title: str = "", body: str = "", *tags: str, **more: Any) -> NewDocument:
    return NewDocument(own_id, title or f"מסמך {own_id}", body, tags, **more)


def write(session: Session, *documents: NewDocument, collection: str = COLLECTION) -> tuple[int, int, int]:
    """Return how many were new, changed and unchanged."""
    written = write_documents(session, collection, documents)
    return written.new, written.changed, written.unchanged


def remove(session: Session, *own_ids: str, collection: str = COLLECTION) -> int:
    return delete_documents(session, [document_number(collection, own_id) for own_id in own_ids])


def shared_documents(most: int) -> list[NewDocument]:
    """Return documents of the shared Hebrew and English collections in turn."""
    pairs = zip(shared_rows("he_docs.jsonl")[:: 2873 // most * 2], shared_rows("en_docs.jsonl"), strict=False)
    rows = [row for pair in pairs for row in pair][:most]
    return [document(row["id"], row["title"], row["body"], *row["tags"]) for row in rows]


def matches(session: Session, query: Query) -> TextMatches:
    return TextQuery(session, query.parts()).matches(query.filter())


def found(session: Session, words: str, **more: Any) -> list[str]:
    """Return the own ids of the documents that a search by words finds, best first."""
    numbers = matches(session, Query(text=words, **more)).documents.tolist()
    ids = {row.id: row.own_id for row in session.execute(select(Document.id, Document.own_id))}
    return [ids[number] for number in numbers]


def in_full_text(session: Session, term: str) -> int:
    """Return in how many documents the database's own index has a stem."""
    statement = by_dialect(
        session,
        sqlite="SELECT count(*) FROM words_fts WHERE words_fts MATCH 'stem : \"' || :term || '\"'",
        postgresql="SELECT count(*) FROM words WHERE tsv @@ CAST(quote_literal(:term) AS tsquery)",
    )
    return int(session.execute(text(statement), {"term": term}).scalar_one())


def stands_right(session: Session) -> None:
    """Count everything anew from the documents, and compare it with what is kept."""
    documents = session.execute(select(Document)).scalars().all()
    said = {one.id: document_terms(one.title, one.body) for one in documents}
    _words_stand_right(session, said)
    _tags_stand_right(session)
    per_collection = Counter(one.collection_id for one in documents)
    kept = {row.id: row.documents for row in session.execute(select(Collection)).scalars()}
    assert {number: count for number, count in kept.items() if count} == per_collection
    orphans = select(func.count()).select_from(Embedding).where(Embedding.document_id.not_in(list(said)))
    assert session.execute(orphans).scalar_one() == 0
    session.rollback()


def _words_stand_right(session: Session, said: dict[int, Terms]) -> None:
    rows = session.execute(select(Words)).scalars()
    kept = {row.document_id: (row.stems, row.grams, row.titles, unpack(row.terms)) for row in rows}
    assert kept == {number: (*one.lengths, one.ids) for number, one in said.items()}
    having = Counter(term for one in said.values() for term in one.ids)
    counts = {row.id: row.documents for row in session.execute(select(Term)).scalars()}
    assert {term: count for term, count in counts.items() if count} == having
    state = session.execute(select(State)).scalar_one()
    stems, grams, titles = (sum(one.lengths[field] for one in said.values()) for field in range(3))
    assert (state.documents, state.stems, state.grams, state.titles) == (len(said), stems, grams, titles)


def _tags_stand_right(session: Session) -> None:
    columns = select(Document.collection_id, DocumentTag.tag_id, func.count())
    joined = columns.join(DocumentTag, DocumentTag.document_id == Document.id)
    grouped = joined.group_by(Document.collection_id, DocumentTag.tag_id)
    counted = {(collection, tag): count for collection, tag, count in session.execute(grouped)}
    rows = session.execute(select(TagCount)).scalars()
    assert {(row.collection_id, row.tag_id): row.documents for row in rows} == counted
