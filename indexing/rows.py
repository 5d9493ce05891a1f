"""A row of a file before it becomes a document, and why it or its file is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from utils.messages import Refusal

MOST_ROW_BYTES = 4_194_304


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


def readable(value: object) -> str:
    """Return a row as text that any file can hold, cut at 2,000 characters."""
    shown = json.dumps(value, ensure_ascii=False, default=str)[:2000]
    return shown.encode("utf-8", "backslashreplace").decode()
