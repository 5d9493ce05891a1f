"""Extra fields of profiles that are short enough to filter a list by."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Document, number

MOST_COLUMNS = 64  # columns that a URL may filter by
OFFERED_COLUMNS = 12  # columns that the page offers as filters
MOST_VALUES = 30  # distinct values of a text column; more cannot be offered as choices
LONGEST_NAME, LONGEST_VALUE = 64, 80
ROWS_AT_ONCE = 500
FEW = 4  # distinct values up to which a text column is never taken for a name or an address
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Column:
    """An extra field of profiles: a number from `least` to `most`, or text with the `values` to choose from."""

    name: str
    kind: str
    least: float = 0.0
    most: float = 0.0
    values: tuple[str, ...] = ()

    @property
    def is_offered(self) -> bool:
        return self.kind == "number" or bool(self.values)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Column:
        return cls(**{**stored, "values": tuple(stored["values"])})


@dataclass(slots=True)
class _Seen:
    """What is known of a column so far; at most MOST_VALUES + 1 distinct words."""

    rows: int = 0
    others: int = 0  # values that are not numbers
    least: float = math.inf
    most: float = -math.inf
    words: Counter[str] = field(default_factory=Counter)

    def add(self, value: str) -> None:
        self.rows += 1
        if _NUMBER.fullmatch(value):
            self.least, self.most = min(self.least, float(value)), max(self.most, float(value))
        else:
            self.others += 1
        for part in split_values(value):
            if part in self.words or len(self.words) <= MOST_VALUES:
                self.words[part] += 1


def split_values(value: str) -> list[str]:
    """Split a value at `;` into the values it holds."""
    return [part for part in map(str.strip, value.split(";")) if part]


def columns(session: Session, profiles: str) -> list[Column]:
    """Return the columns of a collection, those that can be offered first, else in the profiles' order.

    A field with a value longer than LONGEST_VALUE is text, not a column. Rows are read a page at a time.
    """
    rows = select(Document.extra).where(Document.collection_id == number("collection", profiles))
    rows = rows.execution_options(yield_per=ROWS_AT_ONCE)
    return of_values(session.execute(rows).scalars())


def of_values(extras: Iterable[Mapping[str, Any]]) -> list[Column]:
    seen: dict[str, _Seen] = {}
    texts: set[str] = set()
    for extra in extras:
        for name, value in extra.items():
            if isinstance(value, dict | list | bool) or value is None or name in texts:
                continue
            if len(name) > LONGEST_NAME or len(str(value)) > LONGEST_VALUE:
                if name in seen or len(texts) < 10 * MOST_COLUMNS:
                    texts.add(name)
                    seen.pop(name, None)
            elif name in seen or len(seen) < MOST_COLUMNS:
                seen.setdefault(name, _Seen()).add(str(value).strip())
    return sorted((_column(name, values) for name, values in seen.items()), key=lambda column: not column.is_offered)


def _column(name: str, seen: _Seen) -> Column:
    if not seen.others:
        return Column(name, "number", seen.least, seen.most)
    # Nearly as many values as profiles are names, phone numbers or addresses: nothing to choose from.
    is_own = len(seen.words) > FEW and len(seen.words) > seen.rows / 2
    is_choice = not is_own and len(seen.words) <= MOST_VALUES
    return Column(name, "text", values=tuple(sorted(seen.words)) if is_choice else ())
