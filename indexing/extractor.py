"""Reads one file in a process of its own: `python -m indexing.extractor FILE OPTIONS` writes its rows as lines."""

from __future__ import annotations

import ctypes
import io
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from indexing.archives import DAMAGED_ARCHIVE, Entry, archive_entries, folder_entries, opened_archive
from indexing.bookmarks import bookmark_rows, is_bookmarks
from indexing.extraction import REFERENCES, SHEETS
from indexing.layout import Options
from indexing.reading import JSON, TABLES, text_rows
from indexing.references import reference_rows
from indexing.rows import FileUnusable, Row, RowRefused, row_line
from indexing.text_files import READERS, document_fields
from indexing.workbooks import sheet_names, workbook_rows

MOST_MEMORY = 512 << 20
MOST_CPU_S = 3_600
MOST_FILE_S = 60  # for one document
PR_SET_PDEATHSIG = 1  # from prctl.h


class TookTooLong(BaseException):
    """A document is not read in time; libraries catch every Exception."""


def main(path: Path, options: Options, most_rows: int, output: IO[bytes]) -> None:
    written = 0
    try:
        if path.suffix.lower().lstrip(".") in SHEETS:
            with opened_archive(path) as archive:
                output.write(json.dumps({"sheets": sheet_names(archive)}).encode() + b"\n")
        for row in source_rows(path, options):
            output.write(row_line(row))
            written += row.fields is not None
            if most_rows and written >= most_rows:
                break
    except FileUnusable as error:
        output.write(json.dumps({"unusable": error.as_json()}).encode() + b"\n")
    output.flush()


def source_rows(path: Path, options: Options) -> Iterator[Row]:
    """Yield the rows of a folder, an archive, a spreadsheet, bookmarks or a document; raises FileUnusable."""
    suffix = path.suffix.lower().lstrip(".")
    if path.is_dir():
        yield from entry_rows(folder_entries(path), options)
    elif suffix in SHEETS:
        with opened_archive(path) as archive:
            yield from workbook_rows(archive, options.sheet)
    elif suffix == "zip":
        with opened_archive(path) as archive:
            yield from entry_rows(archive_entries(archive), options)
    else:
        yield from entry_rows([Entry(path.name, path.stat().st_size, lambda: path.open("rb"))], options)


def entry_rows(entries: Iterable[Entry], options: Options) -> Iterator[Row]:
    """Yield the rows of files: each a document, or a table of them."""
    for place, entry in enumerate(entries, 1):
        suffix = entry.path.rpartition(".")[2].lower()
        try:
            if suffix in READERS and not _has_bookmarks(entry, suffix):
                yield with_folders(Row(place, timed_fields(entry)), options)
            elif suffix in (*READERS, *TABLES, *JSON, *SHEETS, *REFERENCES):
                for row in table_of_entry(entry, suffix, options):
                    yield with_folders(_named(row, entry), options)
            else:
                yield Row(place, None, RowRefused("bad_document.kind"), entry.path)
        except RowRefused as error:
            yield Row(place, None, error, entry.path)
        except FileUnusable as error:
            yield Row(place, None, RowRefused("bad_document.file", reason=error), entry.path)
        except DAMAGED_ARCHIVE as error:
            yield Row(place, None, RowRefused("bad_document.file", reason=str(error)[:200]), entry.path)


def _has_bookmarks(entry: Entry, suffix: str) -> bool:
    if suffix not in ("html", "htm"):
        return False
    with entry.open() as stream:
        return is_bookmarks(stream.read(4096))


def table_of_entry(entry: Entry, suffix: str, options: Options) -> Iterator[Row]:
    if suffix in SHEETS:
        with opened_archive(io.BytesIO(entry.content())) as archive:
            yield from workbook_rows(archive, options.sheet)
        return
    if suffix in REFERENCES:
        yield from reference_rows(entry.content(), suffix)
        return
    with entry.open() as stream:
        if suffix in READERS:
            yield from bookmark_rows(stream)
        else:
            yield from text_rows(stream, "json" if suffix in JSON else "table", options)


def timed_fields(entry: Entry) -> dict[str, Any]:
    """Return a document's fields; raises RowRefused if it takes too much time or memory as well."""
    try:
        with time_limit(MOST_FILE_S):
            return document_fields(entry)
    except TookTooLong as error:
        raise RowRefused("bad_document.time", most=MOST_FILE_S) from error
    except (MemoryError, RecursionError) as error:
        raise RowRefused("bad_document.memory") from error


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def stop(_signal: int, _frame: object) -> None:
        raise TookTooLong

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def with_folders(row: Row, options: Options) -> Row:
    """Return a row whose folders are tags, if that is asked for."""
    if not options.folder_tags or not row.fields or "folder" not in row.fields:
        return row
    fields = dict(row.fields)
    folders, tags = str(fields.pop("folder")).split("/"), fields.get("tags") or []
    return Row(row.line, {**fields, "tags": [*folders, *(tags if isinstance(tags, list) else [tags])]})


def _named(row: Row, entry: Entry) -> Row:
    return row if row.fields is not None else Row(row.line, None, row.refusal, f"{entry.path}: {row.raw}")


def limit_process() -> None:
    """Bound what the process can take, let others go first, and end it with its parent."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
    os.nice(5)
    logging.disable()


if __name__ == "__main__":
    limit_process()
    chosen = json.loads(sys.argv[2])
    most = chosen.pop("most_rows")
    main(Path(sys.argv[1]), Options(**chosen), most, sys.stdout.buffer)
