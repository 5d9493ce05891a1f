"""Reads spreadsheets, .xlsx and .ods, as a stream of cells: the texts of a large one stay on disk.

Formats: ECMA-376 part 1, section 18, and OpenDocument 1.3 part 3, section 9.
"""

from __future__ import annotations

import os
import re
import zipfile
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import iterparse

from indexing.delimited import Record, rows_of_cells
from indexing.rows import MOST_ROW_BYTES, FileUnusable, Row

MOST_COLUMNS = 16_384  # of a sheet of Excel
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
# Formats of dates that have a number and no text: 14 to 22 everywhere, the others in languages of East Asia.
_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_NOT_CODES = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')


def local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def elements(stream: IO[bytes], *names: str) -> Iterator[Element]:
    """Yield the elements of these names when they end, and forget what was read; raises FileUnusable."""
    open_elements: list[Element] = []
    try:
        for event, element in iterparse(stream, ("start", "end")):
            if event == "start":
                open_elements.append(element)
                continue
            open_elements.pop()
            if local_name(element) in names:
                yield element
                element.clear()
                if open_elements:
                    open_elements[-1].clear()
    except (ParseError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise FileUnusable("damaged", reason=str(error)[:200]) from error


def workbook_rows(archive: zipfile.ZipFile, sheet: str = "") -> Iterator[Row]:
    """Yield the rows of a sheet, by default the first one that is seen; raises FileUnusable."""
    names = set(archive.namelist())
    if "content.xml" in names:
        yield from rows_of_cells(open_document_cells(archive, sheet))
    elif "xl/workbook.xml" in names:
        yield from rows_of_cells(_Workbook(archive).cells(sheet))
    else:
        raise FileUnusable("damaged", reason="it has no sheets")


def chosen_sheet(sheets: dict[str, bool], sheet: str) -> str:
    """Return the name of the sheet asked for, or of the first one that is not hidden; raises FileUnusable."""
    if sheet and sheet not in sheets:
        raise FileUnusable("sheet", sheet=sheet, sheets=", ".join(sheets))
    found = sheet or next((name for name, is_hidden in sheets.items() if not is_hidden), next(iter(sheets), ""))
    if not found:
        raise FileUnusable("damaged", reason="it has no sheets")
    return found


class SharedTexts:
    """The texts that the cells of a workbook name by number, in a temporary file: they may be most of it."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._ends = array("Q", [0])
        self._file = TemporaryFile()  # noqa: SIM115 - open as long as this is
        for text in texts:
            self._ends.append(self._ends[-1] + self._file.write(text.encode("utf-8", "surrogatepass")))
        self._file.flush()

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self._ends) - 1:
            return ""
        start = self._ends[number]
        return os.pread(self._file.fileno(), self._ends[number + 1] - start, start).decode("utf-8", "surrogatepass")


class _Workbook:
    """A workbook of Excel."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._targets = self._relations()
        self._paths: dict[str, str] = {}
        self._is_hidden: dict[str, bool] = {}
        self._epoch = datetime(1899, 12, 30, tzinfo=UTC)
        with archive.open("xl/workbook.xml") as stream:
            for element in elements(stream, "sheet", "workbookPr"):
                if local_name(element) == "workbookPr":
                    if element.get("date1904") in ("1", "true"):
                        self._epoch = datetime(1904, 1, 1, tzinfo=UTC)
                    continue
                relation = element.get(_RELATION) or element.get(_STRICT_RELATION) or ""
                name = element.get("name", "")
                self._paths[name] = self._targets.get(relation, "")
                self._is_hidden[name] = element.get("state", "visible") != "visible"

    def cells(self, sheet: str) -> Iterator[Record]:
        path = self._paths[chosen_sheet(self._is_hidden, sheet)]
        if path not in self._archive.namelist():
            raise FileUnusable("damaged", reason=f"{path or sheet} is missing")
        self._texts, self._dates = SharedTexts(self._shared()), self._date_styles()
        with self._archive.open(path) as stream:
            line = 0
            for row in elements(stream, "row"):
                line = int(row.get("r") or line + 1)
                yield line, self._row(row)

    def _relations(self) -> dict[str, str]:
        """Return the path of each part by its id, and of the shared texts and the styles by their kind."""
        targets = {}
        if "xl/_rels/workbook.xml.rels" in self._archive.namelist():
            with self._archive.open("xl/_rels/workbook.xml.rels") as stream:
                for relation in elements(stream, "Relationship"):
                    target = relation.get("Target", "")
                    path = target[1:] if target.startswith("/") else f"xl/{target}"
                    targets[relation.get("Id", "")] = path
                    targets[relation.get("Type", "").rpartition("/")[2]] = path
        return targets

    def _shared(self) -> Iterator[str]:
        path = self._targets.get("sharedStrings", "xl/sharedStrings.xml")
        if path in self._archive.namelist():
            with self._archive.open(path) as stream:
                for element in elements(stream, "si"):
                    yield _rich_text(element)

    def _date_styles(self) -> frozenset[str]:
        """Return the numbers of the styles that show a number as a date or a time."""
        path = self._targets.get("styles", "xl/styles.xml")
        if path not in self._archive.namelist():
            return frozenset()
        dates, styles = set(_DATE_FORMATS), []
        with self._archive.open(path) as stream:
            for element in elements(stream, "numFmt", "cellXfs"):
                if local_name(element) == "cellXfs":
                    styles = [int(style.get("numFmtId", "0")) for style in element]
                elif re.search("[dmyhs]", _NOT_CODES.sub("", element.get("formatCode", "")), re.IGNORECASE):
                    dates.add(int(element.get("numFmtId", "0")))
        return frozenset(str(place) for place, number in enumerate(styles) if number in dates)

    def _row(self, row: Element) -> list[str] | None:
        cells: list[str] = []
        size = 0
        for cell in row:
            place = column_place(cell.get("r", ""), len(cells))
            if place >= MOST_COLUMNS:
                continue
            text = self._text(cell)
            size += len(text)
            cells.extend([""] * (place - len(cells)))
            cells.append(text)
        return cells if size <= MOST_ROW_BYTES else None

    def _text(self, cell: Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return "".join(_rich_text(part) for part in cell if local_name(part) == "is")
        value = next((part.text for part in cell if local_name(part) == "v"), None) or ""
        if kind == "s":
            return self._texts[int(value)] if value.isdecimal() else ""
        if kind == "str":
            return _unescaped(value)
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind != "n":
            return "" if kind == "e" else value
        return date_text(value, self._epoch) if cell.get("s", "") in self._dates else number_text(value)


def column_place(reference: str, otherwise: int) -> int:
    """Return the place of a cell such as `AB7` in its row, from 0."""
    place = 0
    for letter in reference:
        if not "A" <= letter <= "Z":
            break
        place = place * 26 + ord(letter) - 64
    return max(place - 1, otherwise) if place else otherwise


def _rich_text(element: Element) -> str:
    """Return the text of an `si` or `is`: its own, or that of its runs, without readings in another script."""
    parts = []
    for part in element:
        if local_name(part) == "t":
            parts.append(part.text or "")
        elif local_name(part) == "r":
            parts += [inner.text or "" for inner in part if local_name(inner) == "t"]
    return _unescaped("".join(parts))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def number_text(value: str) -> str:
    """Return a number as it is shown: programs store 0.1 + 0.2 with 17 digits, and show 15."""
    try:
        return value if value.lstrip("-").isdecimal() else format(float(value), ".15g")
    except ValueError:
        return value


def date_text(value: str, epoch: datetime) -> str:
    """Return the date, the time, or both, that a number of days since the epoch is."""
    try:
        days = float(value)
        moment = epoch + timedelta(seconds=round(days * 86_400))
    except (ValueError, OverflowError):
        return value
    if 0 <= days < 1:
        return f"{moment:%H:%M}" if not moment.second else f"{moment:%H:%M:%S}"
    return f"{moment:%Y-%m-%d}" if days == int(days) else f"{moment:%Y-%m-%d %H:%M}"


def open_document_cells(archive: zipfile.ZipFile, sheet: str) -> Iterator[Record]:
    """Yield the rows of a sheet of OpenDocument, repeated ones once; raises FileUnusable."""
    names: list[str] = []
    with archive.open("content.xml") as stream:
        is_inside, line = False, 1
        for event, element in _document_events(stream):
            if local_name(element) == "table":
                if event == "start":
                    names.append(_attribute(element, "name"))
                is_inside = event == "start" and names[-1] == (sheet or names[0])
                line = 1
                continue
            if is_inside:
                yield line, _open_document_row(element)
                line += _count(element, "number-rows-repeated")
            element.clear()
    chosen_sheet(dict.fromkeys(names, False), sheet)


def _document_events(stream: IO[bytes]) -> Iterator[tuple[str, Element]]:
    """Yield the start and end of tables and the end of rows, which are forgotten when the next one comes."""
    tables: list[Element] = []
    try:
        for event, element in iterparse(stream, ("start", "end")):
            kind = local_name(element)
            if kind == "table":
                if event == "start":
                    tables.append(element)
                else:
                    tables.pop()
                yield event, element
            elif kind == "table-row" and event == "end":
                yield event, element
                if tables:
                    tables[-1].clear()
    except (ParseError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise FileUnusable("damaged", reason=str(error)[:200]) from error


def _attribute(element: Element, name: str) -> str:
    return next((value for key, value in element.items() if key.rpartition("}")[2] == name), "")


def _count(element: Element, name: str) -> int:
    value = _attribute(element, name)
    return max(int(value), 1) if value.isdecimal() else 1


def _open_document_row(row: Element) -> list[str] | None:
    cells: list[str] = []
    empty, size = 0, 0
    for cell in row:
        if local_name(cell) not in ("table-cell", "covered-table-cell"):
            continue
        text, count = _open_document_text(cell), _count(cell, "number-columns-repeated")
        if not text:
            empty += count
            continue
        cells += [""] * min(empty, MOST_COLUMNS - len(cells)) + [text] * min(count, MOST_COLUMNS - len(cells))
        size += len(text) * count
        empty = 0
    return cells[:MOST_COLUMNS] if size <= MOST_ROW_BYTES else None


def _open_document_text(cell: Element) -> str:
    kind = _attribute(cell, "value-type")
    if kind in ("float", "percentage", "currency"):
        return number_text(_attribute(cell, "value"))
    if kind == "date":
        return _attribute(cell, "date-value").removesuffix("T00:00:00").replace("T", " ")
    return "\n".join(paragraph_text(part) for part in cell if local_name(part) == "p")


def paragraph_text(paragraph: Element) -> str:
    """Return the text of a paragraph of OpenDocument, in which spaces, tabs and line breaks are elements."""
    parts = [paragraph.text or ""]
    for part in paragraph:
        kind = local_name(part)
        if kind == "s":
            parts.append(" " * min(_count(part, "c"), 100))
        elif kind in ("tab", "line-break"):
            parts.append("\n" if kind == "line-break" else "\t")
        elif kind != "annotation":
            parts.append(paragraph_text(part))
        parts.append(part.tail or "")
    return "".join(parts)
