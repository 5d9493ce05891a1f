"""The database's own full-text index: which terms stand in which document (how often is in `words`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from models import Document, Words
from utils.sql import by_dialect, dialect, upsert
from utils.terms import Terms, terms

# A gram's mark in a tsvector, which has one field where FTS5 has two columns.
GRAM_MARK = "~"


def index_words(session: Session, found: Mapping[int, Terms]) -> None:
    """Index documents that are not in the index now."""
    rows = [
        {"document_id": number, "stems": t.stem_count, "grams": t.gram_count, "terms": t.packed()}
        for number, t in found.items()
    ]
    upsert(session, Words.__table__, rows)  # type: ignore[arg-type]
    if dialect(session) == "postgresql":
        _write_vectors(session, found)
    else:
        session.execute(
            text("INSERT INTO words_fts(rowid, stem, gram) VALUES (:id, :stem, :gram)"),
            [_columns(number, one) for number, one in found.items()],
        )


def unindex_words(session: Session, numbers: Sequence[int]) -> None:
    """Take documents out of the index; the rows of `document` must still say what was indexed."""
    statement = by_dialect(
        session,
        sqlite="INSERT INTO words_fts(words_fts, rowid, stem, gram) VALUES ('delete', :id, :stem, :gram)",
        postgresql="",
    )
    if not statement:
        return  # the vector goes with its row in `words`
    stored = session.execute(select(Document.id, Document.title, Document.body).where(Document.id.in_(numbers)))
    session.execute(text(statement), [_columns(row.id, terms(row.title, row.body)) for row in stored])


def _columns(number: int, found: Terms) -> dict[str, object]:
    return {"id": number, "stem": " ".join(found.stems), "gram": " ".join(found.grams)}


def _write_vectors(session: Session, found: Mapping[int, Terms]) -> None:
    tokens = [" ".join([*t.stems, *(GRAM_MARK + gram for gram in t.grams)]) for t in found.values()]
    session.execute(
        text(
            "UPDATE words SET tsv = array_to_tsvector(string_to_array(given.tokens, ' '))"
            " FROM unnest(CAST(:ids AS bigint[]), CAST(:tokens AS text[])) AS given(id, tokens)"
            " WHERE words.document_id = given.id"
        ),
        {"ids": list(found), "tokens": tokens},
    )
