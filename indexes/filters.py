"""The filter of a search (tags, collection, language) as one SQL condition, applied inside every search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a document id; `sql` writes them for a column.

    They are also given as terms of the word index that a document must have, or must not, and as `others`: statements
    that return the documents.
    """

    conditions: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    required: tuple[int, ...] = ()
    excluded: tuple[int, ...] = ()
    others: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def key(self) -> tuple[object, ...]:
        """Return a hashable value that equal filters share."""
        return (*self.conditions, *sorted(map(str, self.values.items())))

    def sql(self, column: str) -> str:
        """Return ` AND …` to append to a non-empty WHERE."""
        return "".join(f" AND {condition.format(column=column)}" for condition in self.conditions)

    def count(self, session: Session, most: int) -> int:
        """Return the number of documents that pass, counted up to `most`."""
        statement = f"SELECT count(*) FROM (SELECT id FROM document WHERE 1 = 1{self.sql('id')} LIMIT :most) found"
        return int(session.execute(text(statement), {**self.values, "most": most}).scalar_one())

    def documents(self, session: Session, most: int) -> list[int]:
        """Return the ids of the documents that pass, in order, at most `most`."""
        statement = f"SELECT id FROM document WHERE 1 = 1{self.sql('id')} ORDER BY id LIMIT :most"
        return list(session.execute(text(statement), {**self.values, "most": most}).scalars())
