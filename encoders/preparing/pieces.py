"""Writes the files of a unigram tokenizer, which encoders.tokenizers maps into memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from encoders.preparing.folder import NotPrepared
from encoders.tokenizers import NORMALISATION_FILE, PIECES_FILE, UNKNOWN
from encoders.vocabulary_tables import codes, extended

# An unknown character scores this much less than the rarest piece, as in sentencepiece.
_UNKNOWN_PENALTY = 10.0


def write_vocabulary(
    pieces: list[str],
    scores: np.ndarray,
    replacements: dict[int, str],
    folder: Path,
    settings: dict[str, Any] | None = None,
) -> None:
    """Write the pieces of a unigram model by hash, each with its float32 score and its id, 32 bits each.

    Other files hold the replaced characters, the score of an unknown character, the longest piece, and more settings.
    Raises NotPrepared.
    """
    more = settings or {}
    unknown = more.get("unknown", UNKNOWN)
    ids = np.array([number for number, piece in enumerate(pieces) if number != unknown and piece])
    values = np.empty((len(ids), 2), dtype="<u4")
    values[:, 0] = ids
    values[:, 1] = scores[ids].view("<u4")
    write_hashed(folder, hashes_of([pieces[number] for number in ids]), values.view("<u8")[:, 0])
    known = {
        "unknown_score": float(np.float32(scores.min()) - np.float32(_UNKNOWN_PENALTY)),
        "longest": max(map(len, pieces)),
        "characters": {0: ""} | replacements,
    }
    (folder / NORMALISATION_FILE).write_text(json.dumps(known | more), encoding="utf-8")


def write_hashed(folder: Path, hashes: np.ndarray, values: np.ndarray) -> None:
    """Write uint64 (2, n): hashes in ascending order, and their values. Raises NotPrepared."""
    order = np.argsort(hashes)
    if (np.diff(hashes[order]) == 0).any():
        raise NotPrepared("two pieces of the vocabulary have the same hash: the model is not supported")
    np.save(folder / PIECES_FILE, np.stack([hashes[order], values[order]]))


def hashes_of(strings: list[str], seed: int = 0) -> np.ndarray:
    """Return the uint64 hashes of whole strings, shape (len(strings),)."""
    lengths = np.array([len(string) for string in strings])
    hashes = np.full(len(strings), seed, dtype=np.uint64)
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        columns = codes("".join(strings[row] for row in rows)).reshape(len(rows), length)
        for column in columns.astype(np.uint64).T:
            hashes[rows] = extended(hashes[rows], column)
    return hashes
