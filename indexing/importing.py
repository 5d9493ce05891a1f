"""Imports a file: rows become documents in committed batches, and rejected rows go to a file beside it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy.orm import Session

from indexes.access import set_private
from indexing.documents import NewDocument, Written, digest
from indexing.pipeline import write_documents_ahead
from indexing.reading import FileUnusable, Row, RowRefused, readable, rows
from models import document_number

BATCH = 500
# Terms take about 80 bytes per character: a thousand long documents would not fit into a small host.
BATCH_CHARACTERS = 350_000
MOST_TEXT_BYTES = 1_048_576
MOST_TAGS, LONGEST_TAG, LONGEST_ID = 200, 200, 255
REPORTED_REJECTS = 100  # rows in a report; the file beside the import has all of them
ALIASES = {
    "id": ("id",),
    "title": ("title",),
    "body": ("body", "description"),
    "tags": ("tags", "skills"),
    "language": ("language",),
    "source": ("source",),
    "url": ("url",),
    "licence": ("licence", "license"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """How the fields of a file are interpreted."""

    collection: str = "documents"
    mapping: Mapping[str, str] = field(default_factory=dict)
    tag_separator: str | None = None
    drop: frozenset[str] = frozenset()
    private: bool = False  # makes the collection private before anything is written


@dataclass(slots=True)
class ImportReport:
    """The result of an import; `rejects` is the file of rejected rows, if any."""

    written: Written = field(default_factory=Written)
    refused: int = 0
    duplicates: int = 0
    rejects: Path | None = None
    first_rejects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def documents(self) -> int:
        return self.written.new + self.written.changed + self.written.unchanged

    @property
    def exit_code(self) -> int:
        """Return 0 if all rows were accepted, 1 if some were rejected, 2 if nothing was imported."""
        if not self.documents:
            return 2
        return 1 if self.refused else 0


@dataclass(frozen=True, slots=True)
class Preview:
    """How a file's columns are interpreted: (column, field or empty, first value)."""

    columns: list[tuple[str, str, str]]
    documents: list[NewDocument]
    refused: list[Row]


def meanings(columns: list[str], options: Options) -> dict[str, str]:
    """Return {field: column}; raises FileUnusable if a mapped column does not exist."""
    folded = {name.strip().lower(): name for name in reversed(columns)}
    mapping = {
        meaning: folded[alias] for meaning, names in ALIASES.items() for alias in reversed(names) if alias in folded
    }
    for meaning, column in options.mapping.items():
        if meaning not in ALIASES:
            raise FileUnusable("map.field", field=meaning, fields=", ".join(ALIASES))
        if column not in columns:
            raise FileUnusable("map.column", column=column, columns=", ".join(columns))
        mapping[meaning] = column
    return mapping


def mapping_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return {field: column} of pairs such as `title=name`; raises FileUnusable for an invalid or repeated one."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        name, mark, column = pair.partition("=")
        if not mark:
            raise FileUnusable("map.pair", pair=pair)
        if name in mapping:
            raise FileUnusable("map.twice", field=name, first=mapping[name], second=column)
        mapping[name] = column
    return mapping


def check_file_columns(path: Path, options: Options) -> None:
    """Raise FileUnusable if no row could have a title or a body."""
    first = next((row for row in rows(path) if row.fields), None)
    if first is None or first.fields is None:
        raise FileUnusable("nothing")
    columns = list(first.fields)
    if path.suffix.lower() in (".csv", ".tsv", ".txt") and not {"title", "body"} & set(meanings(columns, options)):
        raise FileUnusable("header", columns=", ".join(columns))


def parsed_document(fields: Mapping[str, Any], options: Options) -> NewDocument:
    """Return a row as a document; raises RowRefused."""
    # JSON rows may have different fields: a mapped field that is missing is empty.
    known = [*fields, *options.mapping.values()]
    columns = meanings(known, options)
    values = {meaning: fields.get(column) for meaning, column in columns.items()}
    title, body = field_text(values.get("title")), field_text(values.get("body"))
    if not title and not body:
        raise RowRefused("bad_document.empty")
    if len(title) + len(body) > MOST_TEXT_BYTES // 4 and len((title + body).encode()) > MOST_TEXT_BYTES:
        raise RowRefused("bad_document.text")
    own_id = field_text(values.get("id")) or digest(title + "\x1f" + body).hex()[:16]
    if len(own_id) > LONGEST_ID:
        raise RowRefused("bad_document.id", most=LONGEST_ID)
    used = set(columns.values()) | options.drop
    return NewDocument(
        own_id=own_id,
        title=title or text_preview(body),
        body=body,
        tags=field_tags(values.get("tags"), options.tag_separator),
        extra={name: value for name, value in fields.items() if name not in used and value not in (None, "")},
        **{name: field_text(values.get(name)) for name in ("source", "url", "licence")},
        language=field_text(values.get("language")).lower()[:16],
    )


def field_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return readable(value)
    return str(value).replace("\0", "").strip()


def text_preview(body: str) -> str:
    first = body.split("\n", 1)[0]
    return first if len(first) <= 80 else first[:80].rsplit(" ", 1)[0] + " …"


def field_tags(value: object, separator: str | None) -> tuple[str, ...]:
    """Return a row's distinct tags; a string is split at the separator, or at `;`, `|` or `,`."""
    parts = value if isinstance(value, list) else split_tags(field_text(value), separator)
    named = [" ".join(field_text(part).split()) for part in parts]
    kept = tuple(dict.fromkeys(name for name in named if name))
    if len(kept) > MOST_TAGS:
        raise RowRefused("bad_document.tags", most=MOST_TAGS)
    if any(len(name) > LONGEST_TAG for name in kept):
        raise RowRefused("bad_document.tag", most=LONGEST_TAG)
    return kept


def split_tags(given: str, separator: str | None) -> list[str]:
    return given.split(separator or next((mark for mark in ";|" if mark in given), ","))


def preview(path: Path, options: Options, most: int = 5) -> Preview:
    """Return how the first rows would be interpreted, without writing anything; raises FileUnusable."""
    check_file_columns(path, options)
    read = list(islice(rows(path), 20))
    first = next((row.fields for row in read if row.fields), {}) or {}
    named = {column: meaning for meaning, column in meanings(list(first), options).items()}
    columns = [
        (column, "-" if column in options.drop else named.get(column, ""), field_text(value)[:120])
        for column, value in first.items()
    ]
    documents, refused = [], []
    for row in read:
        try:
            documents.append(_accepted(row, options))
        except RowRefused as error:
            refused.append(Row(row.line, None, error, row.raw))
    return Preview(columns, documents[:most], refused)


def _accepted(row: Row, options: Options) -> NewDocument:
    if row.refusal:
        raise row.refusal
    return parsed_document(row.fields or {}, options)


def import_file(
    session: Session,
    path: Path,
    options: Options,
    on_bytes: Callable[[int], None] = lambda _: None,
    own_process: bool = False,
) -> ImportReport:
    """Import a file, committing batch by batch; raises FileUnusable before anything is written.

    `own_process` is for the command line: see indexing/pipeline.py.
    """
    check_file_columns(path, options)
    report = ImportReport()
    if options.private:
        set_private(session, options.collection, is_private=True)
    with Rejects(path.with_name(path.name + ".rejects.csv"), report) as rejects:
        documents = _documents(path, options, repeats(path, options), rejects, on_bytes)
        write_documents_ahead(session, options.collection, batches(documents), report.written.add, own_process)
    return report


def batches(documents: Iterator[NewDocument]) -> Iterator[list[NewDocument]]:
    """Yield batches of at most BATCH documents, fewer if they are long."""
    batch: list[NewDocument] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.title) + len(document.body)
        if len(batch) == BATCH or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def repeats(path: Path, options: Options) -> Counter[int]:
    """Return the keys shared by several valid rows, with their counts; 8 bytes of memory per row."""
    if not _several(_keys(path, options, valid_only=False)):
        return Counter()  # the usual case, decided by the ids alone
    return _several(_keys(path, options, valid_only=True))


def _several(keys: Iterator[int]) -> Counter[int]:
    distinct, counts = np.unique(np.fromiter(keys, np.int64), return_counts=True)
    several = counts > 1
    return Counter(dict(zip(distinct[several].tolist(), counts[several].tolist(), strict=True)))


def _keys(path: Path, options: Options, valid_only: bool) -> Iterator[int]:
    """Yield the keys of the valid rows, or, faster, of all rows that have an id and the valid ones without."""
    for row in rows(path):
        fields = row.fields or {}
        column = options.mapping.get("id") or next((name for name in fields if name.strip().lower() == "id"), "")
        own_id = "" if valid_only else field_text(fields.get(column))
        with suppress(RowRefused):  # reported when the row is imported
            yield document_number(options.collection, own_id or _accepted(row, options).own_id)


def _documents(
    path: Path, options: Options, repeated: Counter[int], rejects: Rejects, on_bytes: Callable[[int], None]
) -> Iterator[NewDocument]:
    """Yield the documents of valid rows; of rows with the same id only the last one."""
    for row in rows(path, on_bytes):
        try:
            document = _accepted(row, options)
        except RowRefused as error:
            rejects.add(row, error)
            continue
        key = document_number(options.collection, document.own_id) if repeated else 0
        if repeated.get(key, 0) > 1:
            repeated[key] -= 1
            rejects.report.duplicates += 1
        else:
            yield document


class Rejects:
    """The file of rejected rows: created by the first one; a leftover is removed if there are none."""

    def __init__(self, path: Path, report: ImportReport) -> None:
        self._path, self.report, self._open = path, report, ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, row: Row, refusal: RowRefused) -> None:
        if self._writer is None:
            file = self._open.enter_context(self._path.open("w", encoding="utf-8-sig", newline=""))
            self._writer = csv.writer(file)
            self._writer.writerow(("line", "reason", "row"))
            self.report.rejects = self._path
        raw = row.raw or readable(row.fields)
        self.report.refused += 1
        self._writer.writerow((row.line, refusal, raw))
        if self.report.refused <= REPORTED_REJECTS:
            shown = {"line": str(row.line), "row": raw, "reason": str(refusal)}
            self.report.first_rejects.append(shown | {"code": refusal.key, "values": refusal.values})
