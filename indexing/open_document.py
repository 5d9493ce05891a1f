"""Reads the cells and paragraphs of OpenDocument (1.3, part 3)."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse

from indexing.delimited import Record
from indexing.rows import MOST_ROW_BYTES, FileUnusable
from indexing.xml_parts import BROKEN_XML, MOST_COLUMNS, chosen_sheet, local_name, number_text


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
    except BROKEN_XML as error:
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
