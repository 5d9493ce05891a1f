"""Reads JSON as rows: lines, an array, an array inside of an object, one object, or objects one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TextIO

import ijson

from indexing.column_names import name_rank, plain_name
from indexing.json_arrays import ArrayReader, BrokenArray
from indexing.rows import MOST_ROW_BYTES, FileUnusable, Row, RowRefused, readable
from utils.bounded_json import TooComplex, parse_json

# What the list of documents in an object is usually called.
LIST_NAMES = frozenset(
    "results items records data documents docs rows entries hits articles posts books products value features list "
    "response elements jobs bookmarks".split()
)


def json_rows(text: TextIO, records: str = "") -> Iterator[Row]:
    """Yield the objects of a file; the line of one outside of JSON Lines is its place. Raises FileUnusable."""
    first = text.readline(MOST_ROW_BYTES + 1)
    while first and not first.strip("\ufeff \t\r\n"):
        first = text.readline(MOST_ROW_BYTES + 1)
    following = next((line for line in iter(lambda: text.readline(4096), "") if line.strip()), "")
    text.seek(0)
    first = first.lstrip("\ufeff \t")
    if first.startswith("[") and not records and not _is_list_per_line(first, following):
        yield from _elements(ArrayReader(text, MOST_ROW_BYTES).elements())
    elif records or not following or not (_is_whole(first) or following.lstrip().startswith("{")):
        yield from _within_object(text, records)
    else:
        yield from _json_lines(text)


def _is_list_per_line(first: str, following: str) -> bool:
    return following.lstrip().startswith(("[", "{")) and _is_whole(first)


def _is_whole(line: str) -> bool:
    try:
        parse_json(line.strip().rstrip(","))
    except ValueError:
        return False
    return True


def _json_lines(text: TextIO) -> Iterator[Row]:
    for number, line in enumerate(_lines(text), 1):
        if len(line) > MOST_ROW_BYTES:
            yield Row(number, None, RowRefused("bad_document.line"), readable(line[:200]))
        elif (whole := line.strip("\ufeff \t\r\n")) and whole not in ("[", "]", "],"):
            yield row_of_json(number, whole.removesuffix(",") if whole[-2:-1] == "}" else whole)


def _lines(text: TextIO) -> Iterator[str]:
    """Yield lines; an overlong line is truncated."""
    while line := text.readline(MOST_ROW_BYTES + 1):
        rest = line
        while len(rest) > MOST_ROW_BYTES and not rest.endswith("\n"):
            rest = text.readline(MOST_ROW_BYTES + 1)
        yield line


def row_of_json(number: int, text: str) -> Row:
    """Return the object of a JSON text as a row, or why it is none."""
    try:
        fields = parse_json(text)
    except TooComplex as error:
        if error.key == "nested":
            return Row(number, None, RowRefused("bad_document.nested", most=error.most), readable(text))
        return Row(number, None, RowRefused("bad_document.values", most=error.most), readable(text))
    except ValueError as error:
        return Row(number, None, RowRefused("bad_document.json", reason=str(error)[:200]), readable(text))
    if not isinstance(fields, dict):
        return Row(number, None, RowRefused("bad_document.object"), readable(text))
    return Row(number, {plain_name(name): value for name, value in fields.items()})


def _elements(elements: Iterator[tuple[str, bool]]) -> Iterator[Row]:
    number = 0
    try:
        for number, (element, is_whole) in enumerate(elements, 1):
            if is_whole:
                yield row_of_json(number, element)
            else:
                yield Row(number, None, RowRefused("bad_document.line"), readable(element))
    except BrokenArray as error:
        yield Row(number + 1, None, RowRefused("bad_document.json_rest", reason=str(error)))


def _within_object(text: TextIO, records: str) -> Iterator[Row]:
    """Yield the objects of the list in an object, or the objects that follow one another."""
    lists = ListFinder(text)
    text.seek(0)
    place = lists.place_of(records) if records else lists.likeliest()
    reader = ArrayReader(text, MOST_ROW_BYTES)
    yield from _elements(reader.objects() if place is None else reader.elements_of(place))


class ListFinder:
    """The lists of objects in a JSON file that are in no other list: their paths, places and lengths."""

    def __init__(self, text: TextIO) -> None:
        self._places: dict[str, int] = {}
        self._lengths: Counter[str] = Counter()
        self._names: set[str] = set()  # of the outermost object's texts
        self._is_one = True  # not several objects one after another
        # What stands before a fault is known, and its row is refused when it is read.
        with suppress(ijson.JSONError, UnicodeError, ValueError):
            self._find(ijson.parse(_Utf8(text), multiple_values=True, use_float=True))

    def _find(self, events: Iterator[tuple[str, str, Any]]) -> None:
        arrays, depth, objects = 0, 0, 0
        for path, event, value in events:
            if event == "start_array":
                arrays += 1
                depth += 1
                if depth == 1:
                    self._places.setdefault(path, arrays)
            elif event == "end_array":
                depth -= 1
            elif event == "start_map" and depth == 1 and path.endswith("item"):
                self._lengths[path.removesuffix("item").removesuffix(".")] += 1
            elif event == "start_map" and not path:
                objects += 1
                self._is_one = objects == 1
            elif event == "string" and value and "." not in path:
                self._names.add(path)

    def place_of(self, path: str) -> int:
        """Return which array of the file a path is, the first being 1; raises FileUnusable."""
        if path not in self._places:
            raise FileUnusable("records", path=path, paths=", ".join(sorted(self._lengths)) or "-")
        return self._places[path]

    def likeliest(self) -> int | None:
        """Return which array has the documents, or None if the file is no object around a list."""
        if not self._is_one or not self._lengths:
            return None
        named = [path for path in self._lengths if path.rpartition(".")[2].lower() in LIST_NAMES]
        is_document = any(name_rank(name, field) is not None for name in self._names for field in ("title", "body"))
        if is_document and not named:
            return None
        return self._places[max(named or self._lengths, key=lambda path: self._lengths[path])]


class _Utf8:
    """A text file as bytes, for ijson."""

    def __init__(self, text: TextIO) -> None:
        self._text = text

    def read(self, size: int = -1) -> bytes:
        return self._text.read(size).lstrip("\ufeff").encode("utf-8", "replace")
