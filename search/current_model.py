"""Which model serves semantic search: the one in the settings, or the one that the database was switched to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest
from indexes.version import Snapshot, read_snapshot
from models import model_number

FOLDER_CHECK_S = 10.0
FOREIGN = (
    "the folder of {name} did not make the stored embeddings; restore the right one, or embed again with:"
    " flask --app app embed --model {name}, and then: flask --app app models switch {name}"
)


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


class CurrentModel:
    """The model in use. `follow` switches `lazy` to another one when the database names it.

    `key` is the key of the model's embeddings in the database, known without loading it; None if semantic search is
    off or the model is missing. Without `find`, which returns a model by name, the model stays the same.
    """

    def __init__(
        self,
        lazy: LazyEncoder,
        key: int | None,
        find: Callable[[str], AvailableModel] | None,
        manifest: Manifest | None,
    ) -> None:
        self.key, self.find, self.manifest = key, find, manifest
        self.default_name = lazy.model
        self._lazy = lazy
        self._refusal: str | None = None
        self._checked: tuple[int | None, str] | None = None
        self._checked_at = 0.0
        self._lock = threading.Lock()

    def follow(self, session: Session) -> Snapshot:
        """Switch to the model that the database names, if it changed, and return the snapshot.

        A folder that did not make the stored embeddings is refused, since its vectors are not comparable. The error
        that pages and the status show then names the reason and the fix.
        """
        snapshot = self._snapshot(session)
        if self._lazy.state == "off" or self.find is None:
            return snapshot
        fits = self._fits(snapshot)
        if fits and not self._refusal:
            return snapshot
        with self._lock:
            was_checked = self._checked == (snapshot.chosen_key, self._lazy.model)
            if was_checked and not fits and time.monotonic() - self._checked_at < FOLDER_CHECK_S:
                return snapshot
            self._switch(session, self.find(snapshot.chosen_name or self.default_name))
            self._checked, self._checked_at = (snapshot.chosen_key, self._lazy.model), time.monotonic()
        if self._refusal:
            self._lazy.suspend(self._refusal, float("inf"))
        return snapshot

    def _snapshot(self, session: Session) -> Snapshot:
        return read_snapshot(session, self.manifest.name if self.manifest else self._lazy.model, self.key)

    def _fits(self, snapshot: Snapshot) -> bool:
        """Whether this model is the one that the database names or, if it names none, the one in the settings.

        If it names none, embeddings under the key in use may be searched, unless the database has embeddings of this
        model's name but none under its key.
        """
        if snapshot.chosen_name is not None:
            return snapshot.chosen_key == self.key
        is_own = bool(snapshot.has_key) or not snapshot.has_name
        return self._lazy.model == self.default_name and (is_own or self.key is None)

    def _switch(self, session: Session, model: AvailableModel) -> None:
        self._lazy.switch(model.load, model.name)
        self.key, self.manifest = model.key, model.manifest
        fits = model.key is None or self._fits(self._snapshot(session))
        self._refusal = None if fits else FOREIGN.format(name=model.name)
