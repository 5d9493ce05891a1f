"""The mean embeddings of a site's own texts in each language."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Embedding
from utils.int8 import Floats, centred
from utils.language_means import LanguageMeans

SAMPLE = 2_000  # chunks; documents' keys are random, so the first ones are a fair sample
# The model's own means count as so many chunks. Flat from 10 to 50 on the questions over the sample collection.
PRIOR = 30
RENEWED_S = 600


@dataclass(frozen=True, slots=True)
class OwnMeans:
    """Means of a site's texts; `length` is how far its texts lie from them on average."""

    means: LanguageMeans
    length: float


class MeansOfSite:
    """The means of what is stored under a model, read again when the data has changed and they are old."""

    def __init__(self, model: int, dim: int, of_model: LanguageMeans) -> None:
        self._model, self._dim, self._of_model = model, dim, of_model
        self._own: OwnMeans | None = None
        self._version, self._whole, self._read_at = -1, True, 0.0
        self._lock = threading.Lock()

    def get(self, session: Session, version: int) -> OwnMeans:
        """Return the means, of a small site those of this version."""
        with self._lock:
            is_old = self._whole or time.monotonic() - self._read_at > RENEWED_S
            if self._own is None or (version != self._version and is_old):
                rows = self._sample(session)
                self._own = shrunk_means(rows, self._of_model)
                self._version, self._whole, self._read_at = version, len(rows) < SAMPLE, time.monotonic()
            return self._own

    def _sample(self, session: Session) -> Floats:
        """Return the first chunks, less the model's centre."""
        statement = select(Embedding.vector).where(Embedding.model_id == self._model)
        rows = session.execute(statement.order_by(Embedding.document_id).limit(SAMPLE)).scalars()
        return centred([bytes(row) for row in rows], self._dim)


def shrunk_means(rows: Floats, of_model: LanguageMeans) -> OwnMeans:
    """Return the means of rows (x - centre) in each language, nearer to the model's the fewer rows there are."""
    groups = of_model.groups(rows)
    means = []
    for group, mean in enumerate(of_model.means):
        own = rows[groups == group]
        means.append((own.sum(axis=0) + len(own) * of_model.centre + PRIOR * mean) / (len(own) + PRIOR))
    shrunk = LanguageMeans(np.stack([of_model.centre, *means]).astype(np.float32))
    lengths = np.linalg.norm(shrunk.less_means(rows, groups), axis=1)
    return OwnMeans(shrunk, float(lengths.mean()) if len(lengths) else 1.0)
