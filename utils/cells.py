"""CSV cells that are safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

# The byte order mark, by which a spreadsheet recognizes UTF-8.
MARK = "\ufeff"


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet runs as a formula."""
    return "'" + cell if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def csv_line(cells: Iterable[object]) -> str:
    """Return one row as CSV, its cells harmless."""
    out = io.StringIO()
    csv.writer(out).writerow(map(harmless, cells))
    return out.getvalue()
