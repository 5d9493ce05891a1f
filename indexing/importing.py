"""Imports a file: rows become documents in committed batches, and rejected rows go to a file beside it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy.orm import Session

from indexes.access import set_private
from indexing.documents import NewDocument, Written
from indexing.extraction import extracted
from indexing.journal import Journal
from indexing.layout import Layout, Options
from indexing.parsing import accepted_row, own_id_of, raw_row
from indexing.pipeline import write_documents_ahead
from indexing.reading import check_file, file_kind, file_layout, rows
from indexing.rows import Row, RowRefused
from indexing.syncing import FileDocuments
from models import document_number
from utils.cells import harmless

BATCH = 500
# Terms take about 80 bytes per character: a thousand long documents would not fit into a small host.
BATCH_CHARACTERS = 350_000
REJECTS = ".rejects.csv"
REJECTS_HEADER = "line", "reason", "row"
REPORTED_REJECTS = 100  # rows in a report; the file beside the import has all of them


@dataclass(slots=True)
class ImportReport:
    """The result of an import; `rejects` is the file of rejected rows, if any."""

    written: Written = field(default_factory=Written)
    refused: int = 0
    duplicates: int = 0
    deleted: int = 0
    not_synced: int = 0  # refused rows that do not tell their document: nothing was deleted because of them
    unused_id: str = ""  # a column that was guessed to be the ID, and is none because several rows share a value
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


def import_file(
    session: Session,
    path: Path,
    options: Options,
    on_bytes: Callable[[int], None] = lambda _: None,
    own_process: bool = False,
    journal: Journal | None = None,
) -> ImportReport:
    """Import a file, committing batch by batch; raises FileUnusable before anything is written.

    `own_process` is for the command line: see indexing/pipeline.py.
    """
    report = ImportReport()
    with ExitStack() as stack:
        source, on_source_bytes = path, on_bytes
        if file_kind(path) == "extracted":
            check_file(path)
            source = stack.enter_context(extracted(path, options, on_wait=lambda: on_bytes(0)))
            on_source_bytes = scaled(on_bytes, path, source)
        layout, repeated, report.unused_id = unique_layout(source, options)
        if options.private:
            set_private(session, options.collection, is_private=True)
        rejects = stack.enter_context(Rejects(path.with_name(path.name + REJECTS), report))
        seen = FileDocuments(session, options.collection) if options.sync else None
        documents = _documents(source, layout, repeated, rejects, on_source_bytes, seen)
        write_documents_ahead(session, options.collection, batches(documents), report.written.add, own_process, journal)
        if seen:
            report.deleted = seen.delete_others(session, lambda _: on_bytes(path.stat().st_size), journal)
            report.not_synced = seen.unknown
    return report


def scaled(on_bytes: Callable[[int], None], path: Path, source: Path) -> Callable[[int], None]:
    """Return a function that reports bytes of the extracted rows as bytes of the file."""
    share = path.stat().st_size / max(source.stat().st_size, 1) if path.is_file() else 1.0
    return lambda done: on_bytes(int(done * share))


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


def unique_layout(path: Path, options: Options) -> tuple[Layout, Counter[int], str]:
    """Return how a file is read, the keys of several of its rows, and the column of a guessed ID that several have.

    Such a column is no ID.
    """
    layout = file_layout(path, options)
    repeated = repeats(path, layout)
    if not repeated or not layout.id_is_guessed:
        return layout, repeated, ""
    column, layout = layout.columns["id"], layout.without_id()
    return layout, repeats(path, layout), column


def repeats(path: Path, layout: Layout) -> Counter[int]:
    """Return the keys shared by several valid rows, with their counts; 8 bytes of memory per row."""
    if not _several(_keys(path, layout, valid_only=False)):
        return Counter()  # the usual case, decided by the ids alone
    return _several(_keys(path, layout, valid_only=True))


def _several(keys: Iterator[int]) -> Counter[int]:
    distinct, counts = np.unique(np.fromiter(keys, np.int64), return_counts=True)
    several = counts > 1
    return Counter(dict(zip(distinct[several].tolist(), counts[several].tolist(), strict=True)))


def _keys(path: Path, layout: Layout, valid_only: bool) -> Iterator[int]:
    """Yield the keys of the valid rows, or, faster, of all rows that have an id and the valid ones without."""
    for row in rows(path, options=layout.options):
        own_id = "" if valid_only else id_of_row(row, layout)
        with suppress(RowRefused):  # reported when the row is imported
            yield document_number(layout.options.collection, own_id or accepted_row(row, layout).own_id)


def id_of_row(row: Row, layout: Layout) -> str:
    """Return the ID in the column of a row that has one, or an empty string."""
    fields = row.fields or {}
    return own_id_of(fields.get(layout.columns_of(fields).get("id", "")))


def _documents(
    path: Path,
    layout: Layout,
    repeated: Counter[int],
    rejects: Rejects,
    on_bytes: Callable[[int], None],
    seen: FileDocuments | None = None,
) -> Iterator[NewDocument]:
    """Yield the documents of valid rows; of rows with the same id only the last one."""
    for row in rows(path, on_bytes, layout.options):
        try:
            document = accepted_row(row, layout)
        except RowRefused as error:
            rejects.add(row, error)
            if seen:
                seen.add(id_of_row(row, layout))
            continue
        if seen:
            seen.add(document.own_id)
        key = document_number(layout.options.collection, document.own_id) if repeated else 0
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
            self._writer.writerow(REJECTS_HEADER)
            self.report.rejects = self._path
        raw = raw_row(row)
        self.report.refused += 1
        self._writer.writerow((row.line, refusal, harmless(raw)))
        if self.report.refused <= REPORTED_REJECTS:
            shown = {"line": str(row.line), "row": raw, "reason": str(refusal)}
            self.report.first_rejects.append(shown | refusal.as_json())
