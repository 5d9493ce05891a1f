"""Documents as they are stored, with their tags, read in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Row, Table, select
from sqlalchemy.orm import Session

from models import Document, DocumentTag, Tag, number
from utils.sql import among

DOCUMENTS_AT_ONCE = 200


def stored_documents(session: Session, collection: str = "") -> Iterator[tuple[Row[Any], list[str]]]:
    """Yield the rows of `document` with their tags' names in the documents' own order; of a collection, or all."""
    table: Table = Document.__table__  # type: ignore[assignment]
    asked = select(table).order_by(table.c.id).limit(DOCUMENTS_AT_ONCE)
    if collection:
        asked = asked.where(table.c.collection_id == number("collection", collection))
    last = -1
    while rows := session.execute(asked.where(table.c.id > last)).all():
        tags = tags_of(session, [row.id for row in rows])
        yield from ((row, tags.get(row.id, [])) for row in rows)
        last = rows[-1].id


def tags_of(session: Session, documents: list[int]) -> dict[int, list[str]]:
    rows = select(DocumentTag.document_id, Tag.name).join(Tag, Tag.id == DocumentTag.tag_id)
    rows = rows.where(among(DocumentTag.document_id, documents))
    found = session.execute(rows.order_by(DocumentTag.document_id, DocumentTag.place, DocumentTag.tag_id))
    return {document: [name for _, name in group] for document, group in groupby(found, key=lambda row: row[0])}
