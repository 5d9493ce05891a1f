"""What readers of office files share: XML read as a stream, the choice of a sheet, and numbers as they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import iterparse

from indexing.archives import DAMAGED_ARCHIVE
from indexing.rows import FileUnusable

MOST_COLUMNS = 16_384  # of a sheet of Excel
BROKEN_XML = ParseError, ValueError, *DAMAGED_ARCHIVE


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
    except BROKEN_XML as error:
        raise FileUnusable("damaged", reason=str(error)[:200]) from error


def chosen_sheet(sheets: dict[str, bool], sheet: str) -> str:
    """Return the name of the sheet asked for, or of the first one that is not hidden; raises FileUnusable."""
    if sheet and sheet not in sheets:
        raise FileUnusable("sheet", sheet=sheet, sheets=", ".join(sheets))
    found = sheet or next((name for name, is_hidden in sheets.items() if not is_hidden), next(iter(sheets), ""))
    if not found:
        raise FileUnusable("damaged", reason="it has no sheets")
    return found


def number_text(value: str) -> str:
    """Return a number as it is shown: programs store 0.1 + 0.2 with 17 digits, and show 15."""
    try:
        return value if value.lstrip("-").isdecimal() else format(float(value), ".15g")
    except ValueError:
        return value
