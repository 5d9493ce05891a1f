"""A published tokenizer as the files that encoders/ maps into memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from encoders.characters import ALL, CHARACTERS_FILE, table
from encoders.hashes import hashes_of
from encoders.preparing.folder import NotPrepared
from encoders.wordpiece import INNER_SEED, PIECES_FILE, SETTINGS_FILE

_SURROGATES = range(0xD800, 0xE000)


def write_tokenizer(backend: Any, folder: Path, lower_case: bool = False) -> dict[str, Any]:
    """Write the files of a tokenizers.Tokenizer and return what the manifest says of it. Raises NotPrepared.

    lower_case is for models that lower a text before their tokenizer sees it.
    """
    parts = json.loads(backend.to_str())
    kind = parts["model"]["type"]
    writers = {"WordPiece": ("wordpiece", write_wordpiece)}
    if kind not in writers:
        raise NotPrepared(f"the model has a tokenizer of the kind {kind}, which is not served; choose another model")
    name, write = writers[kind]
    write(backend, parts, folder, lower_case)
    marks = backend.encode("").ids
    if len(marks) != 2:
        raise NotPrepared(f"the model puts {len(marks)} marks around a text and not one before and one after")
    return {"tokenizer": name, "start_token": marks[0], "end_token": marks[1]}


def write_wordpiece(backend: Any, parts: dict[str, Any], folder: Path, lower_case: bool) -> None:
    """Write the pieces by their hashes, the characters and the settings of a BERT tokenizer."""
    model = parts["model"]
    prefix = model["continuing_subword_prefix"]
    inner = {piece.removeprefix(prefix): number for piece, number in model["vocab"].items() if piece.startswith(prefix)}
    inner.pop("", None)
    first = {piece: number for piece, number in model["vocab"].items() if piece}
    hashes = np.concatenate([hashes_of(list(first)), hashes_of(list(inner), INNER_SEED)])
    numbers = np.array([*first.values(), *inner.values()], dtype=np.uint64)
    write_hashed(folder, hashes, numbers)
    np.save(folder / CHARACTERS_FILE, table(_words_apart(backend, lower_case)))
    settings = {
        "unknown": model["vocab"][model["unk_token"]],
        "longest": max(map(len, [*first, *inner])),
        "longest_word": model["max_input_chars_per_word"],
    }
    (folder / SETTINGS_FILE).write_text(json.dumps(settings) + "\n", encoding="utf-8")


def write_hashed(folder: Path, hashes: np.ndarray, values: np.ndarray) -> None:
    """Write uint64 of shape (2, n): hashes in rising order, below each its value. Raises NotPrepared."""
    order = np.argsort(hashes)
    if (np.diff(hashes[order]) == 0).any():
        raise NotPrepared("two pieces of the vocabulary have the same hash: the model cannot be served")
    np.save(folder / PIECES_FILE, np.stack([hashes[order], values[order]]))


def _words_apart(backend: Any, lower_case: bool) -> Iterator[str]:
    """Yield for each character what the tokenizer makes of it, with spaces where it begins and ends words."""
    for code in range(ALL):
        if code in _SURROGATES:
            yield ""  # no text that came in as UTF-8 has one
            continue
        normal = chr(code).lower() if lower_case else chr(code)
        if backend.normalizer is not None:
            normal = backend.normalizer.normalize_str(normal)
        # Between two letters it shows whether it ends the word, stands alone, or belongs to it.
        words = backend.pre_tokenizer.pre_tokenize_str(f"a{normal}a")
        yield " ".join(word for word, _ in words)[1:-1]
