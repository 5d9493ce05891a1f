"""A fast encoder for tests: texts that share words are near, and nothing is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from encoders.manifest import Manifest
from utils.hebrew import content_forms, forms, stem

DIM = 64


class HashedWords:
    """An encoder of bags of words: a stem adds plus or minus one at the place that it hashes to."""

    name = "hashed"
    dim = DIM
    manifest = Manifest(
        name="hashed",
        dim=DIM,
        max_tokens=512,
        score_low=0.0,
        score_high=1.0,
        score_floor=0.2,
        tag_low=0.3,
        tag_high=0.5,
        tag_same=0.6,
        checksum="hashed-1",
    )

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.closed = ""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode(texts)

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode(texts)

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode(texts)

    def encode_tags(self, texts: Sequence[str]) -> np.ndarray:
        return self._encode(texts)

    def count_tokens(self, text: str) -> int:
        return len(forms(text)) + 2

    def close(self, reason: str) -> None:
        self.closed = reason

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(list(texts))
        return np.array([embedding(text) for text in texts], np.float32).reshape(len(texts), DIM)


def embedding(text: str) -> np.ndarray:
    """Return the unit vector of a text; one without a word has the first axis."""
    sums = np.zeros(DIM, np.float32)
    for form in content_forms(forms(text)):
        hashed = crc32(stem(form).encode())
        sums[hashed % DIM] += 1.0 if hashed & 0x8000_0000 else -1.0
    if not sums.any():
        sums[0] = 1.0
    unit: np.ndarray = sums / np.linalg.norm(sums)
    return unit
