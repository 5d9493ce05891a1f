"""The filter of a search (tags, collection, language, what may be read), as a condition inside every search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on a document id; `sql` writes them for a column, named with its table if that is `document`.

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
        statement = (
            f"SELECT count(*) FROM (SELECT id FROM document WHERE 1 = 1{self.sql('document.id')} LIMIT :most) found"
        )
        return int(session.execute(text(statement), {**self.values, "most": most}).scalar_one())

    def documents(self, session: Session, most: int) -> list[int]:
        """Return the ids of the documents that pass, in order, at most `most`."""
        statement = f"SELECT id FROM document WHERE 1 = 1{self.sql('document.id')} ORDER BY id LIMIT :most"
        return list(session.execute(text(statement), {**self.values, "most": most}).scalars())


def outside(collections: Sequence[int]) -> str:
    """Return the condition that a document is in none of the collections: found by its key, not by listing theirs."""
    numbers = ", ".join(str(int(number)) for number in collections)
    hidden = f"SELECT 1 FROM document hidden WHERE hidden.id = {{column}} AND hidden.collection_id IN ({numbers})"
    return f"NOT EXISTS ({hidden})"


def all_but(hidden: Sequence[int]) -> Filter:
    """Return the filter of all documents but those of the hidden collections."""
    return Filter((outside(hidden),)) if hidden else Filter()
