"""The kinds of tokenizers that a model folder may name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from encoders.byte_pairs import BytePairs
from encoders.unigram import Unigram
from encoders.wordpiece import WordPiece


class Tokenizer(Protocol):
    """Texts to the ids of their pieces."""

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the ids of a text's pieces, without the marks for its start and end: at least the first limit."""


# By the manifest's `tokenizer`.
TOKENIZERS: dict[str, Callable[[Path], Tokenizer]] = {
    "unigram": Unigram,
    "wordpiece": WordPiece,
    "byte-pairs": BytePairs,
}
