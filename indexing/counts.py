"""Counts kept with the documents, in the same transaction: of terms, of tags, of everything."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from models import Collection, Document, DocumentTag, State, TagCount
from utils.bm25 import packed_terms
from utils.sql import among, dialect, upsert

# A number and its count as one whole number each: to take a list apart costs SQLite more than all the rest.
COUNT_BITS = 20
ADD_SQLITE = (
    f"INSERT INTO term(id, documents) SELECT value >> {COUNT_BITS}, :sign * (value & {(1 << COUNT_BITS) - 1})"
    " FROM json_each(:rows) WHERE true ON CONFLICT(id) DO UPDATE SET documents = documents + excluded.documents"
)
ADD_POSTGRESQL = (
    "INSERT INTO term(id, documents) SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:counts AS bigint[]))"
    " ON CONFLICT (id) DO UPDATE SET documents = term.documents + excluded.documents"
)


def add_terms(session: Session, packed: Sequence[bytes], sign: int) -> None:
    """Count each term once for each document (a million at the most) that has it, up (1) or down (-1)."""
    numbers, counts = np.unique(packed_terms(packed), return_counts=True)
    if not len(numbers):
        return
    if dialect(session) == "postgresql":
        session.execute(text(ADD_POSTGRESQL), {"ids": numbers.tolist(), "counts": (sign * counts).tolist()})
    else:
        rows = numbers.astype(np.int64) << COUNT_BITS | counts
        session.execute(text(ADD_SQLITE), {"rows": json.dumps(rows.tolist()), "sign": sign})


def add_tags(session: Session, numbers: Sequence[int], sign: int) -> None:
    """Count the tags that the documents have now, by collection; a tag that no document has any more is not kept."""
    counted = session.execute(
        select(Document.collection_id, DocumentTag.tag_id, func.count())
        .join(Document, Document.id == DocumentTag.document_id)
        .where(among(DocumentTag.document_id, numbers))
        .group_by(Document.collection_id, DocumentTag.tag_id)
    ).all()
    rows = [{"collection_id": c, "tag_id": tag, "documents": sign * count} for c, tag, count in sorted(counted)]
    upsert(session, TagCount.__table__, rows, add=("documents",))  # type: ignore[arg-type]
    if sign < 0:
        theirs = among(TagCount.tag_id, {row["tag_id"] for row in rows})
        session.execute(delete(TagCount).where(TagCount.documents <= 0, theirs))


def add_totals(session: Session, documents: int, stems: int, grams: int, titles: int) -> None:
    totals = {
        "documents": State.documents + documents,
        "stems": State.stems + stems,
        "grams": State.grams + grams,
        "titles": State.titles + titles,
    }
    session.execute(update(State).where(State.id == 1).values(totals))


def take_from_collections(session: Session, collections: Iterable[int]) -> None:
    """Count down the collections, once for each time that one is named."""
    for collection, documents in Counter(collections).items():
        change = {"documents": Collection.documents - documents}
        session.execute(update(Collection).where(Collection.id == collection).values(change))
