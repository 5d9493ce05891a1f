"""A row of a file before it becomes a document, and why it or its file is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from utils.messages import Refusal

MOST_ROW_BYTES = 4_194_304
_AS_IT_IS = json.JSONEncoder(ensure_ascii=False, default=str)


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


def row_line(row: Row) -> bytes:
    """Return a row as a line of JSON, which `row_of_line` reads back."""
    if row.fields is not None:
        values: dict[str, Any] = {"line": row.line, "fields": row.fields}
    else:
        values = {"line": row.line, "refusal": row.refusal and row.refusal.as_json(), "raw": row.raw}
    return _AS_IT_IS.encode(values).encode("utf-8", "surrogatepass") + b"\n"


def row_of_line(line: bytes) -> Row:
    """Return the row of a line; raises FileUnusable if the line says that the file is."""
    stored = json.loads(line.decode("utf-8", "surrogatepass"))
    if unusable := stored.get("unusable"):
        raise FileUnusable(unusable["code"], **stored_values(unusable))
    if refusal := stored.get("refusal"):
        return Row(stored["line"], None, RowRefused(refusal["code"], **stored_values(refusal)), stored["raw"])
    return Row(stored["line"], stored["fields"])


def stored_values(refusal: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a refusal that was stored; one of them may be a refusal itself."""
    return {
        name: RowRefused(value["code"], **stored_values(value)) if isinstance(value, dict) else value
        for name, value in refusal["values"].items()
    }


def readable(value: object) -> str:
    """Return a row as text that any file can hold, cut at 2,000 characters."""
    shown = json.dumps(value, ensure_ascii=False, default=str)[:2000]
    return shown.encode("utf-8", "backslashreplace").decode()
