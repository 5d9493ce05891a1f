"""Counts of terms, tags and totals, kept in the same transaction as the documents."""

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

# Number and count in one integer: taking a list apart costs SQLite more than everything else.
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
    """Count each term once per document that has it (at most a million), up (1) or down (-1)."""
    numbers, counts = np.unique(packed_terms(packed), return_counts=True)
    if not len(numbers):
        return
    if dialect(session) == "postgresql":
        session.execute(text(ADD_POSTGRESQL), {"ids": numbers.tolist(), "counts": (sign * counts).tolist()})
    else:
        rows = numbers.astype(np.int64) << COUNT_BITS | counts
        session.execute(text(ADD_SQLITE), {"rows": json.dumps(rows.tolist()), "sign": sign})


def add_tags(session: Session, numbers: Sequence[int], sign: int) -> None:
    """Count the documents' tags by collection, up or down; counts that reach zero are deleted."""
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
    """Decrease the collections' counts, once per occurrence."""
    for collection, documents in Counter(collections).items():
        change = {"documents": Collection.documents - documents}
        session.execute(update(Collection).where(Collection.id == collection).values(change))
