"""Exports a collection to a file that `flask import` reads: JSON Lines, or CSV for a spreadsheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from indexing.backup import DOCUMENT, DOCUMENTS_AT_ONCE, document_tag_names, stored_documents
from indexing.column_names import ALIASES
from indexing.tag_cells import SEPARATORS
from models import Document
from utils.sql import among

FIELDS = ("id", "title", "body", "tags", "language", "source", "url", "licence")
TAKEN = frozenset(alias for names in ALIASES.values() for alias in names)
MOST_COLUMNS = 500
DOCUMENT_COLUMNS = Document.__table__.columns.keys()
EXTRAS_AT_ONCE = 500


class TooManyColumns(ValueError):
    """More fields than a table can have columns; the message says what to do."""


def exported_rows(session: Session, collection: str) -> Iterator[dict[str, Any]]:
    """Yield a collection's documents as JSON rows, extra fields included."""
    for row, tags in stored_documents(session, collection):
        yield exported_row(row, tags)


def exported_row(row: Row[Any], tags: Sequence[str]) -> dict[str, Any]:
    """Return a row of the table `document` with its tags as an import reads it."""
    stored = dict(zip(DOCUMENT_COLUMNS, row, strict=True))
    known = {name: stored["own_id" if name == "id" else name] for name in FIELDS if name != "tags"}
    filled = {name: value for name, value in (known | {"tags": tags}).items() if value or name in ("title", "body")}
    return filled | {free_name(name): value for name, value in stored["extra"].items()}


def rows_of_documents(session: Session, numbers: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number, exported row) of the documents that are there, a batch in memory at a time, in the given order."""
    for start in range(0, len(numbers), DOCUMENTS_AT_ONCE):
        part = list(numbers[start : start + DOCUMENTS_AT_ONCE])
        rows = {row.id: row for row in session.execute(select(DOCUMENT).where(among(Document.id, part)))}
        tags = document_tag_names(session, list(rows))
        yield from ((number, exported_row(rows[number], tags.get(number, []))) for number in part if number in rows)


def columns_of_documents(session: Session, numbers: Sequence[int]) -> list[str]:
    """Return the names of the documents' other columns, in order of appearance; raises TooManyColumns."""
    names: dict[str, None] = {}
    for start in range(0, len(numbers), EXTRAS_AT_ONCE):
        part = numbers[start : start + EXTRAS_AT_ONCE]
        extras = session.execute(select(Document.extra).where(among(Document.id, part))).scalars()
        names |= dict.fromkeys(extra_columns({free_name(name): "" for name in extra} for extra in extras))
        if len(names) > MOST_COLUMNS:
            raise TooManyColumns(f"The documents have over {MOST_COLUMNS} fields: export them as JSON lines")
    return list(names)


def free_name(name: str) -> str:
    """Return a name for an extra field that an import does not take for a title or body."""
    return f"extra_{name}" if name.strip().lower() in TAKEN else name


def write_jsonl(file: TextIO, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def extra_columns(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the extra fields in order of appearance; raises TooManyColumns."""
    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(name for name in row if name not in FIELDS)
        if len(names) > MOST_COLUMNS:
            raise TooManyColumns(f"The documents have over {MOST_COLUMNS} fields: export them with --format jsonl")
    return list(names)


def write_csv(file: TextIO, rows: Iterable[dict[str, Any]], columns: list[str]) -> int:
    """Write a table of the known fields and the given ones; lists and objects are written as JSON."""
    writer = csv.writer(file)
    writer.writerow([*FIELDS, *columns])
    count = 0
    for row in rows:
        cells = row | {"tags": joined_tags(row.get("tags", []))}
        writer.writerow([csv_cell(cells.get(name, "")) for name in (*FIELDS, *columns)])
        count += 1
    return count


def joined_tags(tags: list[str]) -> str:
    """Return tags joined by semicolons, or as a JSON list where a tag has a sign that an import takes for its own."""
    if any(tag[0] in "[{(<#" or any(mark in tag for mark in SEPARATORS) for tag in tags):
        return json.dumps(tags, ensure_ascii=False)
    return ";".join(tags)


def csv_cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
