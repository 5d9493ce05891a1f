"""Which model serves semantic search: those that can be loaded by name, and the one the database names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from encoders.base import Encoder
from encoders.manifest import Manifest
from indexes.version import Snapshot
from models import model_number


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that can be loaded; `manifest` is None if its folder is unusable."""

    name: str
    load: Callable[[], Encoder]
    manifest: Manifest | None

    @property
    def key(self) -> int | None:
        """Return the key of the model's embeddings in the database."""
        return model_number(self.manifest.name, self.manifest.checksum) if self.manifest else None


FOREIGN = (
    "the folder of {name} did not make the stored embeddings; restore the right one, or embed again with:"
    " flask --app app embed --model {name}, and then: flask --app app models switch {name}"
)


@dataclass(frozen=True, slots=True)
class StoredChoice:
    """The model that the database was switched to, if any.

    `is_mine`: if none was chosen, embeddings under the key in use may be searched, unless the database has embeddings
    of this model's name but none under its key.
    """

    key: int | None
    name: str | None
    is_mine: bool

    @classmethod
    def of(cls, snapshot: Snapshot) -> StoredChoice:
        key = snapshot.chosen_key if snapshot.chosen_name else None
        return cls(key, snapshot.chosen_name, bool(snapshot.has_key) or not snapshot.has_name)
