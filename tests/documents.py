"""Documents for tests, and what must hold of the tables whatever was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from indexes.segments import DOCUMENTS, VOCABULARY, ListedSegment, listed_segments, read_terms
from indexes.words import IndexedWords
from indexing.documents import Analysed, NewDocument, delete_documents, write_documents
from models import (
    Collection,
    Document,
    DocumentTag,
    Embedding,
    Form,
    SegmentBlock,
    State,
    TagCount,
    document_number,
)
from search.query import Query
from search.tags import tags_of
from search.text import TextMatches, TextQuery
from tests.shared import shared_rows
from utils.postings import Postings, unpacked_block
from utils.terms import index_forms, text_term

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


def in_index(session: Session, form: str) -> int:
    """Return how many documents have a folded form in their title or body."""
    postings = read_terms(session, listed_segments(session, DOCUMENTS), np.array([text_term(form)]))
    return sum(len(part.documents) for parts in postings.values() for part in parts)


def stands_right(session: Session) -> None:
    """Count everything anew from the documents, and compare it with what is kept."""
    documents = session.execute(select(Document)).scalars().all()
    _words_stand_right(session, documents)
    _tags_stand_right(session)
    per_collection = Counter(one.collection_id for one in documents)
    kept = {row.id: row.documents for row in session.execute(select(Collection)).scalars()}
    assert {number: count for number, count in kept.items() if count} == per_collection
    orphans = (
        select(func.count()).select_from(Embedding).where(Embedding.document_id.not_in([one.id for one in documents]))
    )
    assert session.execute(orphans).scalar_one() == 0
    session.rollback()


def _words_stand_right(session: Session, documents: Sequence[Document]) -> None:
    names = tags_of(session, [one.id for one in documents])
    expected = {one.id: expected_postings(one, names[one.id]) for one in documents}
    segments = listed_segments(session, DOCUMENTS)
    assert stored_postings(session, segments) == expected
    words, titles = [sum(getattr(segment, name) for segment in segments) for name in ("words", "titles")]
    counts = [(len(index_forms(one.title)), len(index_forms(one.body))) for one in documents]
    assert (words, titles) == (sum(map(sum, counts)), sum(title for title, _ in counts))
    vocabulary = {row.id: row.form for row in session.execute(select(Form)).scalars()}
    assert all(text_term(form) == term for term, form in vocabulary.items())
    assert {term for terms in expected.values() for term in terms if term % 4 == 0} <= vocabulary.keys()
    assert set(stored_postings(session, listed_segments(session, VOCABULARY))) == vocabulary.keys()
    assert session.execute(select(State.documents)).scalar_one() == len(documents)


Occurrences = dict[int, tuple[int, tuple[int, ...]]]  # {term: (frequency, positions)}


def expected_postings(document: Document, tags: Sequence[str]) -> Occurrences:
    row = {column.name: getattr(document, column.name) for column in Document.__table__.columns}
    words = Analysed.of(row, tuple(tags)).words
    return by_document(IndexedWords.of([words]).postings).get(0, {})


def stored_postings(session: Session, segments: Sequence[ListedSegment]) -> dict[int, Occurrences]:
    """Return what the index has of each document that is not deleted, by key."""
    stored: dict[int, Occurrences] = {}
    for segment in segments:
        blocks = range(segment.id + 1, segment.id + 1 + len(segment.documents.firsts))
        keys = segment.documents.keys.tolist()
        alive = [True] * len(keys) if segment.alive is None else segment.alive.tolist()
        assert segment.count == sum(alive)
        for number in blocks:
            block = session.execute(select(SegmentBlock).where(SegmentBlock.id == number)).scalar_one()
            for document, occurrences in by_document(unpacked_block(block.postings, block.positions)).items():
                if alive[document]:
                    stored.setdefault(keys[document], {}).update(occurrences)
    return stored


def by_document(postings: Postings) -> dict[int, Occurrences]:
    result: dict[int, Occurrences] = {}
    posting = place = 0
    for term, count in zip(postings.terms.tolist(), postings.counts.tolist(), strict=True):
        for _ in range(count):
            frequency = int(postings.frequencies[posting])
            positions = tuple(postings.positions[place : place + frequency].tolist()) if term % 2 == 0 else ()
            result.setdefault(int(postings.documents[posting]), {})[term] = frequency, positions
            posting, place = posting + 1, place + len(positions)
    return result


def _tags_stand_right(session: Session) -> None:
    columns = select(Document.collection_id, DocumentTag.tag_id, func.count())
    joined = columns.join(DocumentTag, DocumentTag.document_id == Document.id)
    grouped = joined.group_by(Document.collection_id, DocumentTag.tag_id)
    counted = {(collection, tag): count for collection, tag, count in session.execute(grouped)}
    rows = session.execute(select(TagCount)).scalars()
    assert {(row.collection_id, row.tag_id): row.documents for row in rows} == counted
