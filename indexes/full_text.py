"""The database's own full-text index: which documents contain which terms (counts are in `words`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA
from sqlalchemy.orm import Session

from models import Document, Words
from utils.sql import among, by_dialect, dialect, upsert
from utils.terms import document_terms

# Prefixes of grams and title stems in a tsvector, which has one field where FTS5 has three columns.
GRAM_MARK, TITLE_MARK = "~", "^"
INSERT_SQLITE = "INSERT INTO words_fts(rowid, stem, gram, title) VALUES "
# One statement: updating the vector afterwards would leave a dead version of every row.
INSERT_POSTGRESQL = """
INSERT INTO words (document_id, stems, grams, titles, terms, tsv)
SELECT id, stems, grams, titles, terms, array_to_tsvector(array_remove(string_to_array(tokens, ' '), ''))
FROM unnest(CAST(:ids AS bigint[]), CAST(:stems AS integer[]), CAST(:grams AS integer[]), CAST(:titles AS integer[]),
  :packed, CAST(:tokens AS text[])) AS given(id, stems, grams, titles, terms, tokens)
ON CONFLICT (document_id) DO NOTHING
"""
ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class IndexedWords:
    """A document's index terms: a few kilobytes, where the counts they come from take fifty."""

    stems: int
    grams: int
    titles: int
    packed: bytes
    stem_text: str
    gram_text: str
    title_text: str

    @classmethod
    def of(cls, title: str, body: str) -> IndexedWords:
        terms = document_terms(title, body)
        return cls(*terms.lengths, terms.packed(), *map(" ".join, terms.fields))

    def __reduce__(self) -> tuple[Any, ...]:
        """Unpickle five times as fast: by default each slot is set by name."""
        values = self.stems, self.grams, self.titles, self.packed, self.stem_text, self.gram_text, self.title_text
        return IndexedWords, values


def index_words(session: Session, documents: Mapping[int, IndexedWords]) -> None:
    """Add new documents to SQLite's index; on PostgreSQL `write_words` has done so.

    Many rows a statement: SQLite works through it without the interpreter's lock, and the next batch is analysed
    meanwhile.
    """
    if dialect(session) == "sqlite":
        # In key order: FTS5 flushes its buffer whenever a key is lower than the last.
        rows = [(number, item.stem_text, item.gram_text, item.title_text) for number, item in sorted(documents.items())]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            values = tuple(value for row in part for value in row)
            session.connection().exec_driver_sql(INSERT_SQLITE + ", ".join(["(?, ?, ?, ?)"] * len(part)), values)


def widen_index(session: Session) -> None:
    """Let SQLite's index buffer 4 MB of a transaction instead of 1: a quarter faster."""
    if dialect(session) == "sqlite":
        session.execute(text("INSERT INTO words_fts(words_fts, rank) VALUES ('hashsize', 4194304)"))
        session.commit()


def empty_index(session: Session) -> None:
    """Clear SQLite's index; PostgreSQL's is part of `words`."""
    if dialect(session) == "sqlite":
        session.execute(text("INSERT INTO words_fts(words_fts) VALUES ('delete-all')"))


def write_words(session: Session, documents: Mapping[int, IndexedWords]) -> None:
    """Write the packed terms of new documents, on PostgreSQL with their tsvectors."""
    if dialect(session) == "postgresql":
        _write_with_vectors(session, documents)
        return
    rows: list[dict[str, object]] = [
        {"document_id": number, "stems": item.stems, "grams": item.grams, "titles": item.titles, "terms": item.packed}
        for number, item in documents.items()
    ]
    upsert(session, Words.__table__, rows)  # type: ignore[arg-type]


def unindex_words(session: Session, numbers: Sequence[int]) -> None:
    """Remove documents from the index; their rows in `document` must still be as indexed."""
    statement = by_dialect(
        session,
        sqlite="INSERT INTO words_fts(words_fts, rowid, stem, gram, title)"
        " VALUES ('delete', :id, :stem, :gram, :title)",
        postgresql="",
    )
    if not statement:
        return  # the tsvector is deleted with its row in `words`
    stored = session.execute(select(Document.id, Document.title, Document.body).where(among(Document.id, numbers)))
    indexed = [(row.id, IndexedWords.of(row.title, row.body)) for row in sorted(stored)]
    columns = [
        {"id": number, "stem": item.stem_text, "gram": item.gram_text, "title": item.title_text}
        for number, item in indexed
    ]
    session.execute(text(statement), columns)


def _write_with_vectors(session: Session, documents: Mapping[int, IndexedWords]) -> None:
    rows = list(documents.values())
    tokens = [
        f"{item.stem_text} {prefixed_terms(item.gram_text, GRAM_MARK)} {prefixed_terms(item.title_text, TITLE_MARK)}"
        for item in rows
    ]
    given = {name: [getattr(item, name) for item in rows] for name in ("stems", "grams", "titles")}
    packed = bindparam("packed", [item.packed for item in rows], type_=ARRAY(BYTEA))
    session.execute(text(INSERT_POSTGRESQL).bindparams(packed), {"ids": list(documents), "tokens": tokens, **given})


def prefixed_terms(words: str, mark: str) -> str:
    return mark + words.replace(" ", " " + mark) if words else ""


STEM_FIELD, GRAM_FIELD, TITLE_FIELD = 0, 1, 2
COLUMNS, MARKS = ("stem", "gram", "title"), ("", "~", "^")


@dataclass(frozen=True, slots=True)
class _Term:
    name: str
    id: int
    field: int
    documents: int


# Ordered by the index's rowid, FTS5 reads backwards and stops; ordered by the key of `words`, which is the same, all
# matches are read and sorted. A word in a third of 836,000 documents takes 26 ms instead of 4,253.
CANDIDATES_SQLITE = """
SELECT w.document_id, w.stems, w.grams, w.titles, w.terms FROM words_fts
JOIN words w ON w.document_id = words_fts.rowid WHERE words_fts MATCH :match
{restriction} ORDER BY words_fts.rowid DESC LIMIT :most
"""
# Materialised, so that the planner optimizes for all rows: for a cursor it optimizes for the first tenth.
CANDIDATES_POSTGRESQL = """
WITH found AS MATERIALIZED (
  SELECT w.document_id, w.stems, w.grams, w.titles, w.terms FROM words w WHERE w.tsv @@ CAST(:match AS tsquery)
  {restriction} ORDER BY w.document_id DESC LIMIT :most
) SELECT * FROM found
"""


def fts5_match(groups: list[list[_Term]]) -> str:
    """Return the FTS5 query: groups joined by AND, terms in a group by OR, each in its column."""
    return " AND ".join(f"({' OR '.join(map(_fts5_term, group))})" for group in groups)


def _fts5_term(term: _Term) -> str:
    return f'{COLUMNS[term.field]} : "{term.name}"'


def tsquery_match(groups: list[list[_Term]]) -> str:
    """Return the same as a tsquery for PostgreSQL."""
    return " & ".join(f"({' | '.join(map(_tsquery_term, group))})" for group in groups)


def _tsquery_term(term: _Term) -> str:
    quoted = (MARKS[term.field] + term.name).replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}'"
