"""What every encoder offers: the one interface that search, indexing and matching know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from encoders.manifest import Manifest


class Encoder(Protocol):
    """Texts to embeddings: float32 of shape (len(texts), dim), each row of length 1, in the order given.

    A text longer than manifest.max_tokens is cut there; an empty list gives shape (0, dim); an empty text has
    an embedding like any other. Niqqud and cantillation are deleted before encoding. The embedding of a text
    does not depend on the texts beside it. The methods that encode raise encoders.queue.EncoderAway where that
    cannot be had now: too many wait already, it takes too long, a distant model does not answer.
    """

    @property
    def name(self) -> str:
        """The folder name of the model, as in SEMANTIC_MODEL."""

    @property
    def dim(self) -> int:
        """The number of values in one embedding."""

    @property
    def manifest(self) -> Manifest:
        """What is known of the model: its limits, and the cosines that mean something for it."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of texts as they are given, without a prefix."""

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of what was asked, to be compared with those of passages."""

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of what is found."""

    def encode_tags(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of short names, to be compared with one another."""

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a passage with this text takes, prefix and end marks included, uncut."""

    def close(self, reason: str) -> None:
        """Refuse, with encoders.queue.EncoderBusy and the reason, all that is not being encoded already."""
