"""Reads tables of text, such as CSV; detects the separator, the header row and unescaped quotes from the first rows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TextIO

from indexing.column_names import INVISIBLE, is_known_name, plain_name
from indexing.rows import MOST_ROW_BYTES, FileUnusable, Row, RowRefused, readable

SEPARATORS = ",;\t|^~¦"
SAMPLE_LINES, SAMPLE_CHARACTERS = 200, 262_144
EDGES = " \t\r\n" + INVISIBLE  # spreadsheets and chats put signs of direction around a cell
NO_SEPARATOR = "\x1f"  # for a table of one column, whose text may have any usual one
Record = tuple[int, list[str] | None]  # the line and the cells, None if they cannot be read
_SEP_LINE = re.compile(r'\ufeff?"?sep=(?P<mark>[^"\r\n])"?\s*$', re.IGNORECASE)


def table_rows(text: TextIO) -> Iterator[Row]:
    """Yield the rows of a table; a row's line is the first of its lines in the file. Raises FileUnusable."""
    csv.field_size_limit(MOST_ROW_BYTES)
    sample = _sample(text)
    separator, skipped = table_separator(sample), 0
    if _SEP_LINE.match(sample[0] if sample else ""):
        skipped = 1
    records = list(_records(iter(sample[skipped:]), separator))
    before = header_place([cells for _, cells in records if cells is not None])
    text.seek(0)
    for _ in range(skipped):
        text.readline()
    yield from _rows_below_header(_records(_bounded_lines(text), separator, skipped), before)


def rows_of_cells(records: Iterator[Record]) -> Iterator[Row]:
    """Yield the rows of a sheet of cells, whose header row is detected from the first records. Raises FileUnusable."""
    first = list(islice(records, SAMPLE_LINES))
    before = header_place([cells for _, cells in first if cells is not None])
    yield from _rows_below_header(chain(first, records), before)


def _rows_below_header(records: Iterable[Record], before: int) -> Iterator[Row]:
    header: list[str] | None = None
    for line, cells in records:
        if cells is None:
            yield Row(line, None, RowRefused("bad_document.csv"))
        elif header is None:
            if before == 0:
                header = header_names(cells)
            before -= 1
        elif isinstance(row := _row(line, cells, header), Row):
            yield row


def _row(line: int, cells: list[str], header: list[str]) -> Row | None:
    """Return a record as a row, or None if it is empty; cells beyond the header must be empty."""
    if any(cells[len(header) :]):
        refusal = RowRefused("bad_document.cells", count=len(cells), expected=len(header))
        return Row(line, None, refusal, readable(cells))
    cells = [cell if cell.isascii() else cell.strip(EDGES) for cell in cells]
    fields = {
        name or f"column {place}": cell
        for place, (name, cell) in enumerate(zip(header, cells, strict=False), 1)
        if name or cell
    }
    return Row(line, fields) if any(cells) else None


def header_names(cells: list[str]) -> list[str]:
    """Return the names of the columns without invisible signs; raises FileUnusable if two are the same."""
    names = [plain_name(cell) for cell in cells]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise FileUnusable("twice", names=", ".join(twice))
    return names


def _sample(text: TextIO) -> list[str]:
    lines: list[str] = []
    left = SAMPLE_CHARACTERS
    while len(lines) < SAMPLE_LINES and left > 0 and (line := text.readline(left)):
        lines.append(line.replace("\0", ""))
        left -= len(line)
    return lines


def _bounded_lines(text: TextIO) -> Iterator[str]:
    """Yield lines without null characters; the csv module refuses what is longer than a field may be."""
    return (line.replace("\0", "") for line in text)


def table_separator(lines: list[str]) -> str:
    """Return the separator that a `sep=` line names, or that parts most of the first rows into as many cells."""
    if lines and (named := _SEP_LINE.match(lines[0])):
        return named["mark"]
    first, second = [*lines, "", ""][:2]
    if is_known_name(first) and second.strip() and not first.rstrip().endswith(":"):  # the only column
        return NO_SEPARATOR if any("," in line.rstrip(", \r\n") for line in lines) else ","
    return max(SEPARATORS, key=lambda mark: _fit(lines, mark))


def _fit(lines: list[str], separator: str) -> tuple[float, int, int]:
    """Return which share of the rows, from the first of them on, has the usual number of cells, how many, and that."""
    widths = [width(cells) for _, cells in _records(iter(lines), separator) if cells and any(cells)]
    usual, count = usual_width(widths)
    return (count / len(widths[widths.index(usual) :]), count, usual) if usual > 1 else (0, 0, 0)


def width(cells: list[str]) -> int:
    """Return the number of cells up to the last one with text."""
    return next((place for place in range(len(cells), 0, -1) if cells[place - 1].strip()), 0)


def usual_width(widths: list[int]) -> tuple[int, int]:
    """Return the most frequent width of over 1, if several the first of them, and how many rows have it."""
    counts = Counter(number for number in widths if number > 1) or Counter(widths)
    return next(iter(counts.most_common(1)), (0, 0))


def header_place(records: list[list[str]]) -> int:
    """Return how many records stand before the header: notes are narrower than the table below them."""
    usual, _ = usual_width([width(cells) for cells in records if any(cells)])
    wide = [place for place, cells in enumerate(records) if width(cells) * 2 > usual and any(cells)]
    if not wide:
        return 0
    first = wide[0]
    if width(records[first]) >= usual or any(map(is_known_name, records[first])):
        return first
    named = (place for place in wide if width(records[place]) >= usual and any(map(is_known_name, records[place])))
    return next(named, first)


def _records(lines: Iterator[str], separator: str, skipped: int = 0) -> Iterator[Record]:
    as_written = stray_quotes(separator)
    start = list(islice(lines, 50))
    padded = any(f'{separator} "' in line for line in start)
    reader = csv.reader(map(as_written, chain(start, lines)), csv.excel, delimiter=separator, skipinitialspace=padded)
    while True:
        line = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield line, None
            continue
        yield line, [cell.replace("\0", '"') if "\0" in cell else cell for cell in cells]


def stray_quotes(separator: str) -> Callable[[str], str]:
    """Return a function that hides quotes which neither open nor close a cell, such as in צה"ל, from the csv module."""
    mark = re.escape(separator)
    quotes = re.compile(rf'"{{2,}}|(?:^|{mark}) *"(?!")|"(?= *(?:{mark}|\r|\n|$))|(?P<stray>")')

    def hidden(line: str) -> str:
        if '"' not in line:
            return line
        return quotes.sub(lambda match: "\0" if match["stray"] else match[0], line)

    return hidden
