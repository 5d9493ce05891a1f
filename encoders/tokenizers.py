"""The kinds of tokenizers that a model folder may name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from encoders.byte_pairs import BytePairs
from encoders.unigram import Unigram
from encoders.wordpiece import WordPiece


class Tokenizer(Protocol):
    """Splits texts into token ids."""

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the token ids of a text without special tokens: at least the first `limit`."""


# By the manifest's `tokenizer`.
TOKENIZERS: dict[str, Callable[[Path], Tokenizer]] = {
    "unigram": Unigram,
    "wordpiece": WordPiece,
    "byte-pairs": BytePairs,
}
