"""Reads spreadsheets, .xlsx and .ods, as a stream of cells: the texts of a large one stay on disk.

The format of Excel is ECMA-376 part 1, section 18.
"""

from __future__ import annotations

import os
import re
import zipfile
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from xml.etree.ElementTree import Element

from indexing.delimited import Record, rows_of_cells
from indexing.open_document import open_document_cells
from indexing.rows import MOST_ROW_BYTES, FileUnusable, Row
from indexing.xml_parts import MOST_COLUMNS, chosen_sheet, elements, local_name, number_text

_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
# Formats of dates that have a number and no text: 14 to 22 everywhere, the others in languages of East Asia.
_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_NOT_CODES = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')


def workbook_rows(archive: zipfile.ZipFile, sheet: str = "") -> Iterator[Row]:
    """Yield the rows of a sheet, by default the first one that is seen; raises FileUnusable."""
    names = set(archive.namelist())
    if "content.xml" in names:
        yield from rows_of_cells(open_document_cells(archive, sheet))
    elif "xl/workbook.xml" in names:
        yield from rows_of_cells(_Workbook(archive).cells(sheet))
    else:
        raise FileUnusable("damaged", reason="it has no sheets")


def sheet_names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the sheets of a workbook of Excel; those of OpenDocument are known once all of it is read."""
    return list(_Workbook(archive).is_hidden) if "xl/workbook.xml" in archive.namelist() else []


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
        self.is_hidden: dict[str, bool] = {}
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
                self.is_hidden[name] = element.get("state", "visible") != "visible"

    def cells(self, sheet: str) -> Iterator[Record]:
        path = self._paths[chosen_sheet(self.is_hidden, sheet)]
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
