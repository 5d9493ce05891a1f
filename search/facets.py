"""The most common tags among hits, and the tags of documents."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import DocumentTag, Tag, tag_key
from search.results import Facet
from utils.sql import among, among_sql, number_list

MOST_FACETS = 24
MOST_COUNTED = 1_000  # hits whose tags are counted


def facets(session: Session, documents: Sequence[int], without: Sequence[str] = ()) -> tuple[Facet, ...]:
    """Return the most common tags of the documents with their counts, except the tags `without`."""
    if not documents:
        return ()
    left_out = {tag_key(name) for name in without}
    counted = (
        f"SELECT tag.name, tag.key, counted.documents FROM (SELECT tag_id, count(*) AS documents FROM document_tag"
        f" WHERE {among_sql(session, 'document_id', 'ids')} GROUP BY tag_id"
        f" ORDER BY documents DESC, tag_id LIMIT {MOST_FACETS + len(left_out)}) counted"
        " JOIN tag ON tag.id = counted.tag_id ORDER BY counted.documents DESC, tag.key"
    )
    given = number_list("ids", documents[:MOST_COUNTED])
    rows = [row for row in session.execute(text(counted).bindparams(given)) if row[1] not in left_out]
    return tuple(Facet(row[0], row[2]) for row in rows[:MOST_FACETS])


def tags_of(session: Session, documents: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return each document's tags in the document's order."""
    rows = (
        select(DocumentTag.document_id, Tag.name)
        .join(Tag, Tag.id == DocumentTag.tag_id)
        .where(among(DocumentTag.document_id, documents))
        .order_by(DocumentTag.document_id, DocumentTag.place)
    )
    tags: dict[int, list[str]] = {document: [] for document in documents}
    for document, name in session.execute(rows):
        tags[document].append(name)
    return {document: tuple(names) for document, names in tags.items()}


def tag_names(session: Session, tags: Sequence[int]) -> dict[int, str]:
    """Return {tag: name}."""
    rows = select(Tag.id, Tag.name).where(among(Tag.id, tags))
    return {row[0]: row[1] for row in session.execute(rows)}
