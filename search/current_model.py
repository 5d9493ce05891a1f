"""Which model searches by meaning: what can be loaded by a name, and which one the database names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.manifest import Manifest
from models import model_number


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that can be loaded, and what is known of it without; None where its folder cannot be served."""

    name: str
    load: Callable[[], Encoder]
    manifest: Manifest | None

    @property
    def key(self) -> int | None:
        """Return the key of the model's embeddings in the database."""
        return model_number(self.manifest.name, self.manifest.checksum) if self.manifest else None


FOREIGN = (
    "the folder of {name} is not the one that made the stored embeddings; put that one back, or make them anew with:"
    " flask --app app embed --model {name}, and then: flask --app app models switch {name}"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model that the database was switched to, if it was.

    `is_mine` tells of a name and a key whether embeddings under the key may be searched where none was chosen: unless
    there are some of that name and none under the key.
    """

    key: int | None
    name: str | None
    is_mine: bool


CHOSEN = """
SELECT state.model_id AS chosen, model.name AS name,
  (SELECT count(*) FROM model mine WHERE mine.id = :key) AS mine,
  (SELECT count(*) FROM model other WHERE other.name = :name) AS same_name
FROM state LEFT JOIN model ON model.id = state.model_id WHERE state.id = 1
"""


def chosen_model(session: Session, name: str, key: int | None) -> Chosen:
    """Return what the database names, in one statement."""
    row = session.execute(text(CHOSEN), {"name": name, "key": key or 0}).one()
    return Chosen(row.chosen if row.name else None, row.name, bool(row.mine) or not row.same_name)
