"""Which model searches by meaning: what can be loaded by a name, and which one the database names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from encoders.base import Encoder
from encoders.manifest import Manifest
from indexes.version import Snapshot
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

    `is_mine`: where none was chosen, embeddings under the key in use may be searched, unless there are some of its name
    and none under the key.
    """

    key: int | None
    name: str | None
    is_mine: bool

    @classmethod
    def of(cls, snapshot: Snapshot) -> Chosen:
        key = snapshot.chosen_key if snapshot.chosen_name else None
        return cls(key, snapshot.chosen_name, bool(snapshot.has_key) or not snapshot.has_name)
