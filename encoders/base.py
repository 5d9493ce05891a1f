"""The interface of all encoders, as search, indexing and matching use it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from encoders.manifest import Manifest


class Encoder(Protocol):
    """Texts to embeddings: float32 of shape (len(texts), dim), each row of length 1, in the order given.

    A text longer than manifest.max_tokens is cut there; an empty list gives shape (0, dim); an empty text has
    an embedding like any other. Niqqud and cantillation are deleted before encoding. The embedding of a text
    does not depend on the texts beside it. Encoding raises encoders.queue.EncoderUnavailable if the queue is full, it
    takes too long, or a remote model does not answer.
    """

    @property
    def name(self) -> str:
        """The folder name of the model, as in SEMANTIC_MODEL."""

    @property
    def dim(self) -> int:
        """The number of values in an embedding."""

    @property
    def manifest(self) -> Manifest:
        """The model's manifest: its limits and similarity thresholds."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of texts without a prefix."""

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of queries, to compare with passages."""

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of passages."""

    def encode_tags(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings of short names, to compare with each other."""

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text as a passage, prefix and special tokens included, not truncated."""

    def close(self, reason: str) -> None:
        """Refuse further texts with encoders.queue.EncoderBusy and the reason; the current batch finishes."""


@runtime_checkable
class FileEncoder(Protocol):
    """An encoder that reads files as long as it serves."""

    def check(self) -> None:
        """Raise encoders.queue.EncoderUnavailable if they were damaged since they were loaded."""


class PrefixedEncoder(ABC):
    """The encoding methods of Encoder, by the prefixes of the manifest; a subclass defines `_encoded`."""

    manifest: Manifest

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoded("", texts, is_long=True)

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoded(self.manifest.query_prefix, texts, is_long=False)

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoded(self.manifest.passage_prefix, texts, is_long=True)

    def encode_tags(self, texts: Sequence[str]) -> np.ndarray:
        return self.encode_queries(texts)

    @abstractmethod
    def _encoded(self, prefix: str, texts: Sequence[str], is_long: bool) -> np.ndarray:
        """Return float32 of shape (len(texts), dim), each row of length 1; `is_long` for passages."""
