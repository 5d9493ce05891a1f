"""What profiles have besides their text and skills: short values by which a list of them is narrowed."""

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

MOST_COLUMNS = 64  # by which an address may narrow a list
OFFERED_COLUMNS = 12  # that the page has a field for
MOST_VALUES = 30  # of a column of words; one with more is no choice but a search
LONGEST_NAME, LONGEST_VALUE = 64, 80
ROWS_AT_ONCE = 500
FEW = 4  # values of which each may be another's without the column being a name or an address
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Column:
    """A name that profiles have a short value under: numbers between two ends, or words, those of them offered."""

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
    def of_json(cls, kept: Mapping[str, Any]) -> Column:
        return cls(**{**kept, "values": tuple(kept["values"])})


@dataclass(slots=True)
class _Seen:
    """What was seen of a column so far; of its words one more than is offered at most."""

    rows: int = 0
    others: int = 0  # values that are no numbers
    least: float = math.inf
    most: float = -math.inf
    words: Counter[str] = field(default_factory=Counter)

    def add(self, value: str) -> None:
        self.rows += 1
        if _NUMBER.fullmatch(value):
            self.least, self.most = min(self.least, float(value)), max(self.most, float(value))
        else:
            self.others += 1
        for part in parts(value):
            if part in self.words or len(self.words) <= MOST_VALUES:
                self.words[part] += 1


def parts(value: str) -> list[str]:
    """Return the single values of one that may hold several with `;` between."""
    return [part for part in map(str.strip, value.split(";")) if part]


def columns(session: Session, profiles: str) -> list[Column]:
    """Return the columns of a collection: those that can be offered first, else as profiles have them.

    What is longer than LONGEST_VALUE is text, and its column none. In memory is a page of rows.
    """
    rows = select(Document.extra).where(Document.collection_id == number("collection", profiles))
    found = session.execute(rows.execution_options(yield_per=ROWS_AT_ONCE)).scalars()
    return of_values(found)


def of_values(found: Iterable[Mapping[str, Any]]) -> list[Column]:
    seen: dict[str, _Seen] = {}
    texts: set[str] = set()
    for extra in found:
        for name, value in extra.items():
            if isinstance(value, dict | list | bool) or value is None or name in texts:
                continue
            if len(name) > LONGEST_NAME or len(str(value)) > LONGEST_VALUE:
                if name in seen or len(texts) < 10 * MOST_COLUMNS:
                    texts.add(name)
                    seen.pop(name, None)
            elif name in seen or len(seen) < MOST_COLUMNS:
                seen.setdefault(name, _Seen()).add(str(value).strip())
    made = [_column(name, one) for name, one in seen.items()]
    return sorted(made, key=lambda one: not one.is_offered)


def _column(name: str, one: _Seen) -> Column:
    if not one.others:
        return Column(name, "number", one.least, one.most)
    # As many values as profiles: names, telephones, addresses. Nobody chooses among them.
    is_own = len(one.words) > FEW and len(one.words) > one.rows / 2
    is_choice = not is_own and len(one.words) <= MOST_VALUES
    return Column(name, "text", values=tuple(sorted(one.words)) if is_choice else ())
