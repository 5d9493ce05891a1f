"""Reads files of documents as a stream of rows: tables of text and JSON here, all others in a process of their own."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

from indexing.delimited import table_rows
from indexing.encodings import SAMPLE_BYTES, UNDECODABLE, checked_encoding, encoding_of
from indexing.extraction import EXTRACTED, SHEETS, STORED, extracted, stored_rows
from indexing.json_rows import json_rows
from indexing.layout import SAMPLE_CHARACTERS, SAMPLE_ROWS, Layout, Options, layout_of_rows
from indexing.rows import FileUnusable, Row, RowRefused, readable

TABLES, JSON = ("csv", "tsv", "tab", "txt"), ("jsonl", "ndjson", "json")
# What a renamed file really is, by how it begins.
_SIGNATURES = ((b"PK\x03\x04", "zip"), (b"\xd0\xcf\x11\xe0", "xls"), (b"%PDF", "pdf"), (b"\x1f\x8b", "gzip"))
_SURROGATE = re.compile("[\ud800-\udfff]")


def file_kind(path: Path) -> str:
    """Return `table`, `json`, `stored` or `extracted`, by the file's name; raises FileUnusable."""
    suffix = path.suffix.lower()
    if suffix == STORED:
        return "stored"
    name = suffix.lstrip(".")
    if path.is_dir() or name in EXTRACTED:
        return "extracted"
    if name == "xls":
        raise FileUnusable("xls")
    if name not in (*TABLES, *JSON):
        raise FileUnusable("kind")
    return "json" if name in JSON else "table"


def rows(path: Path, on_bytes: Callable[[int], None] = lambda _: None, options: Options | None = None) -> Iterator[Row]:
    """Yield the rows of a file; `on_bytes` gets the number of bytes read so far. Raises FileUnusable."""
    options, kind = options or Options(), file_kind(path)
    if kind != "stored":
        check_file(path)
    if kind == "extracted":
        with extracted(path, options) as stored:
            yield from rows(stored, on_bytes, options)
        return
    with path.open("rb") as file:
        reader = stored_rows(file) if kind == "stored" else text_rows(file, kind, options)
        for row in reader:
            on_bytes(file.tell())
            yield row


def text_rows(file: IO[bytes], kind: str, options: Options) -> Iterator[Row]:
    """Yield the rows of a table of text or of JSON; raises FileUnusable."""
    encoding = checked_encoding(options.encoding) if options.encoding else encoding_of(file.read(SAMPLE_BYTES))
    file.seek(0)
    # An undecodable byte becomes a lone surrogate, and its row is rejected.
    text = io.TextIOWrapper(file, encoding=encoding, errors=UNDECODABLE, newline="")
    for row in table_rows(text) if kind == "table" else json_rows(text, options.records):
        yield _decoded(row, encoding)
    text.detach()


def check_file(path: Path) -> None:
    if path.is_dir():
        return
    if not path.is_file():
        raise FileUnusable("missing")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start.strip(b"\xef\xbb\xbf\xff\xfe \r\n\t\0"):
        raise FileUnusable("empty")
    suffix = path.suffix.lower().lstrip(".")
    if suffix in SHEETS and start.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileUnusable("xls")
    for signature, kind in _SIGNATURES:
        if start.startswith(signature) and suffix in (*TABLES, *JSON):
            raise FileUnusable("renamed", kind=kind, suffix=path.suffix)


def file_layout(path: Path, options: Options) -> Layout:
    """Return how a file's rows are read, as its first ones show; raises FileUnusable."""
    return layout_of_rows(file_sample(path, options), options)


def file_sample(path: Path, options: Options) -> list[Row]:
    """Return the first rows of a file, as many as tell how it is to be read."""
    if file_kind(path) == "extracted":
        check_file(path)
        with extracted(path, options, most_rows=SAMPLE_ROWS) as stored:
            return file_sample(stored, options)
    sample: list[Row] = []
    left = SAMPLE_CHARACTERS
    for row in islice(rows(path, options=options), SAMPLE_ROWS):
        sample.append(row)
        left -= sum(len(value) for value in (row.fields or {}).values() if isinstance(value, str))
        if left < 0:
            break
    return sample


def _decoded(row: Row, encoding: str) -> Row:
    if row.fields is None or not _has_surrogate(row.fields):
        return row
    name = "UTF-8" if encoding == "utf-8-sig" else encoding
    return Row(row.line, None, RowRefused("bad_document.bytes", encoding=name), readable(row.fields))


def _has_surrogate(value: object) -> bool:
    """Whether any text in a value contains a lone surrogate; the texts of one level are checked together."""
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, list):
        parts = value
    else:
        return False
    texts = "".join([part for part in parts if isinstance(part, str)])
    return (not texts.isascii() and _SURROGATE.search(texts) is not None) or any(map(_has_surrogate, parts))
