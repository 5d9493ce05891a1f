"""The database's own full-text index: which terms stand in which document (how often is in `words`)."""

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

# Marks of a gram and of a title's stem in a tsvector, which has one field where FTS5 has three columns.
GRAM_MARK, TITLE_MARK = "~", "^"
INSERT_SQLITE = "INSERT INTO words_fts(rowid, stem, gram, title) VALUES "
# At once: a vector that is written afterwards is a second version of its row, and the first one as much waste again.
INSERT_POSTGRESQL = """
INSERT INTO words (document_id, stems, grams, titles, terms, tsv)
SELECT id, stems, grams, titles, terms, array_to_tsvector(array_remove(string_to_array(tokens, ' '), ''))
FROM unnest(CAST(:ids AS bigint[]), CAST(:stems AS integer[]), CAST(:grams AS integer[]), CAST(:titles AS integer[]),
  :packed, CAST(:tokens AS text[])) AS given(id, stems, grams, titles, terms, tokens)
ON CONFLICT (document_id) DO NOTHING
"""
ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the index takes of a document: a few kilobytes, where the counts it comes from are fifty."""

    stems: int
    grams: int
    titles: int
    packed: bytes
    stem_text: str
    gram_text: str
    title_text: str

    @classmethod
    def of(cls, title: str, body: str) -> Indexed:
        found = document_terms(title, body)
        return cls(*found.lengths, found.packed(), *map(" ".join, found.fields))

    def __reduce__(self) -> tuple[Any, ...]:
        """Come from another process in a fifth of the time: by itself each field of a slotted class is set by name."""
        values = self.stems, self.grams, self.titles, self.packed, self.stem_text, self.gram_text, self.title_text
        return Indexed, values


def index_words(session: Session, found: Mapping[int, Indexed]) -> None:
    """Write SQLite's index of documents that are not in it now; PostgreSQL's lies in the rows of `write_words`.

    Many rows a statement: SQLite works through it without the interpreter's lock, and the next batch is analysed
    meanwhile.
    """
    if dialect(session) == "sqlite":
        # In the order of their keys: at a lower one than the last, FTS5 writes out what it holds, a part a row.
        rows = [(number, one.stem_text, one.gram_text, one.title_text) for number, one in sorted(found.items())]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            values = tuple(value for row in part for value in row)
            session.connection().exec_driver_sql(INSERT_SQLITE + ", ".join(["(?, ?, ?, ?)"] * len(part)), values)


def widen_index(session: Session) -> None:
    """Let SQLite's index hold 4 MB of a transaction's words, not 1, before it writes them out: a quarter faster."""
    if dialect(session) == "sqlite":
        session.execute(text("INSERT INTO words_fts(words_fts, rank) VALUES ('hashsize', 4194304)"))
        session.commit()


def empty_index(session: Session) -> None:
    """Forget all words at once; PostgreSQL's lie in the rows of `words`."""
    if dialect(session) == "sqlite":
        session.execute(text("INSERT INTO words_fts(words_fts) VALUES ('delete-all')"))


def write_words(session: Session, found: Mapping[int, Indexed]) -> None:
    """Write the packed terms of documents that are stored and have none; on PostgreSQL with their vectors."""
    if dialect(session) == "postgresql":
        _write_with_vectors(session, found)
        return
    rows: list[dict[str, object]] = [
        {"document_id": number, "stems": one.stems, "grams": one.grams, "titles": one.titles, "terms": one.packed}
        for number, one in found.items()
    ]
    upsert(session, Words.__table__, rows)  # type: ignore[arg-type]


def unindex_words(session: Session, numbers: Sequence[int]) -> None:
    """Take documents out of the index; the rows of `document` must still say what was indexed."""
    statement = by_dialect(
        session,
        sqlite="INSERT INTO words_fts(words_fts, rowid, stem, gram, title)"
        " VALUES ('delete', :id, :stem, :gram, :title)",
        postgresql="",
    )
    if not statement:
        return  # the vector goes with its row in `words`
    stored = session.execute(select(Document.id, Document.title, Document.body).where(among(Document.id, numbers)))
    said = [(row.id, Indexed.of(row.title, row.body)) for row in sorted(stored)]
    columns = [
        {"id": number, "stem": one.stem_text, "gram": one.gram_text, "title": one.title_text} for number, one in said
    ]
    session.execute(text(statement), columns)


def _write_with_vectors(session: Session, found: Mapping[int, Indexed]) -> None:
    rows = list(found.values())
    tokens = [
        f"{one.stem_text} {marked(one.gram_text, GRAM_MARK)} {marked(one.title_text, TITLE_MARK)}" for one in rows
    ]
    given = {name: [getattr(one, name) for one in rows] for name in ("stems", "grams", "titles")}
    packed = bindparam("packed", [one.packed for one in rows], type_=ARRAY(BYTEA))
    session.execute(text(INSERT_POSTGRESQL).bindparams(packed), {"ids": list(found), "tokens": tokens, **given})


def marked(words: str, mark: str) -> str:
    return mark + words.replace(" ", " " + mark) if words else ""


STEM_FIELD, GRAM_FIELD, TITLE_FIELD = 0, 1, 2
COLUMNS, MARKS = ("stem", "gram", "title"), ("", "~", "^")


@dataclass(frozen=True, slots=True)
class _Term:
    name: str
    id: int
    field: int
    documents: int


# By the index's own number, in whose order FTS5 reads backwards and stops: by that of `words`, which is the same, all
# that match are read and sorted. A word of a third of 836,000 documents took 4,253 ms so, and takes 26.
CANDIDATES_SQLITE = """
SELECT w.document_id, w.stems, w.grams, w.titles, w.terms FROM words_fts
JOIN words w ON w.document_id = words_fts.rowid WHERE words_fts MATCH :match
{restriction} ORDER BY words_fts.rowid DESC LIMIT :most
"""
# Materialised, so that the planner looks for the quickest way to all of them: of a cursor it plans the first tenth.
CANDIDATES_POSTGRESQL = """
WITH found AS MATERIALIZED (
  SELECT w.document_id, w.stems, w.grams, w.titles, w.terms FROM words w WHERE w.tsv @@ CAST(:match AS tsquery)
  {restriction} ORDER BY w.document_id DESC LIMIT :most
) SELECT * FROM found
"""


def fts5_match(groups: list[list[_Term]]) -> str:
    """Return FTS5's spelling: groups joined by AND, the terms in a group by OR, each in its column."""
    return " AND ".join(f"({' OR '.join(map(_fts5_term, group))})" for group in groups)


def _fts5_term(term: _Term) -> str:
    return f'{COLUMNS[term.field]} : "{term.name}"'


def tsquery_match(groups: list[list[_Term]]) -> str:
    """Return PostgreSQL's spelling of the same."""
    return " & ".join(f"({' | '.join(map(_tsquery_term, group))})" for group in groups)


def _tsquery_term(term: _Term) -> str:
    quoted = (MARKS[term.field] + term.name).replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}'"
