"""Reads files of documents as a stream of rows: CSV, JSON Lines or JSON, in UTF-8 or cp1255."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from indexing.json_arrays import ArrayReader, BrokenArray
from utils.bounded_json import TooComplex, parse_json
from utils.messages import Refusal

MOST_ROW_BYTES = 4_194_304
SAMPLE_BYTES = 4_194_304
_SURROGATE = re.compile("[\ud800-\udfff]")


class FileUnusable(Refusal):
    """A file that cannot be imported."""


class RowRefused(Refusal):
    """A row that cannot become a document."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its line, and its fields or why it was refused, with its text."""

    line: int
    fields: dict[str, Any] | None
    refusal: RowRefused | None = None
    raw: str = ""

    @property
    def reason(self) -> str:
        return str(self.refusal or "")


def file_kind(path: Path) -> str:
    """Return `csv`, `jsonl` or `json`, by the file's name or else its first character."""
    suffix = path.suffix.lower().lstrip(".")
    if suffix in ("csv", "tsv", "txt"):
        return "csv"
    if suffix in ("jsonl", "ndjson"):
        return "jsonl"
    if suffix != "json":
        raise FileUnusable("kind")
    with path.open("rb") as file:
        return "json" if file.read(64).lstrip(codecs.BOM_UTF8).lstrip()[:1] == b"[" else "jsonl"


def file_encoding(path: Path) -> str:
    """Return `utf-8-sig` or `cp1255`, whichever decodes most of the lines with non-ASCII letters."""
    votes = {"utf-8-sig": 0, "cp1255": 0}
    with path.open("rb") as file:
        if file.read(3) == codecs.BOM_UTF8:
            return "utf-8-sig"
        file.seek(0)
        sample = file.read(SAMPLE_BYTES)
    for line in sample.split(b"\n")[: -1 if len(sample) == SAMPLE_BYTES else None]:
        if not line.isascii():
            votes["utf-8-sig" if _decodes(line) else "cp1255"] += 1
    return max(votes, key=lambda name: votes[name])


def _decodes(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def rows(path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> Iterator[Row]:
    """Yield the rows of a file; `on_bytes` gets the number of bytes read so far. Raises FileUnusable."""
    check_file(path)
    kind, encoding = file_kind(path), file_encoding(path)
    with path.open("rb") as file:
        # An undecodable byte becomes a lone surrogate, and its row is rejected.
        text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
        read = {"csv": _csv_rows, "jsonl": _json_lines, "json": _json_array}[kind]
        for row in read(text):
            on_bytes(file.tell())
            yield _decoded(row, encoding)


def check_file(path: Path) -> None:
    if not path.is_file():
        raise FileUnusable("missing")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start.strip(codecs.BOM_UTF8 + b" \r\n\t"):
        raise FileUnusable("empty")


def _decoded(row: Row, encoding: str) -> Row:
    if row.fields is None or not _has_surrogate(row.fields):
        return row
    name = "UTF-8" if encoding.startswith("utf") else encoding
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


def readable(value: object) -> str:
    """Return a row as text that any file can hold, cut at 2,000 characters."""
    shown = json.dumps(value, ensure_ascii=False, default=str)[:2000]
    return shown.encode("utf-8", "backslashreplace").decode()


def _csv_rows(text: TextIO) -> Iterator[Row]:
    csv.field_size_limit(MOST_ROW_BYTES)
    dialect = _dialect(text)  # before the first line is read
    reader = csv.reader((line.replace("\0", "") for line in text), dialect=dialect)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, None, RowRefused("bad_document.csv", reason=str(error)))
            continue
        if header is None:
            header = [name.strip() for name in cells]
            check_names(header)
        elif len(cells) > len(header):
            refusal = RowRefused("bad_document.cells", count=len(cells), expected=len(header))
            yield Row(line, None, refusal, readable(cells))
        elif any(cells):
            yield Row(line, dict(zip(header, cells, strict=False)))


def check_names(header: list[str]) -> None:
    """Raise FileUnusable if two columns have the same name, since one of them would be lost."""
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise FileUnusable("twice", names=", ".join(twice))


def _dialect(text: TextIO) -> type[csv.Dialect]:
    """Return the delimiter, comma, semicolon or tab, that is most common in the header."""
    start = text.readline()
    text.seek(0)

    class Found(csv.excel):
        delimiter = max(",;\t", key=start.count)

    return Found


def _json_lines(text: TextIO) -> Iterator[Row]:
    for number, line in enumerate(_lines(text), 1):
        if len(line) > MOST_ROW_BYTES:
            yield Row(number, None, RowRefused("bad_document.line"), readable(line[:200]))
        elif line.strip():
            yield _json_row(number, line)


def _lines(text: TextIO) -> Iterator[str]:
    """Yield lines; an overlong line is truncated."""
    while line := text.readline(MOST_ROW_BYTES + 1):
        rest = line
        while len(rest) > MOST_ROW_BYTES and not rest.endswith("\n"):
            rest = text.readline(MOST_ROW_BYTES + 1)
        yield line


def _json_row(number: int, text: str) -> Row:
    try:
        fields = parse_json(text)
    except TooComplex as error:
        refusals = {
            "nested": RowRefused("bad_document.nested", most=error.most),
            "values": RowRefused("bad_document.values", most=error.most),
        }
        return Row(number, None, refusals[error.key], readable(text))
    except ValueError as error:
        return Row(number, None, RowRefused("bad_document.json", reason=str(error)[:200]), readable(text))
    if not isinstance(fields, dict):
        return Row(number, None, RowRefused("bad_document.object"), readable(text))
    return Row(number, fields)


def _json_array(text: TextIO) -> Iterator[Row]:
    """Yield the objects of a JSON array; a row's line is its index in the array."""
    number = 0
    try:
        for number, (element, is_whole) in enumerate(ArrayReader(text, MOST_ROW_BYTES).elements(), 1):
            if is_whole:
                yield _json_row(number, element)
            else:
                yield Row(number, None, RowRefused("bad_document.line"), readable(element))
    except BrokenArray as error:
        yield Row(number + 1, None, RowRefused("bad_document.json_rest", reason=str(error)))
