"""The tokenizer of XLM-RoBERTa models: the most likely segmentation, over a memory-mapped table of pieces.

The usual libraries hold the 250,000 pieces in 71 to 297 MB; here they are two rows of a file, of which a text
touches a few pages.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from encoders.hashes import codes, substrings

PIECES_FILE = "pieces.npy"
NORMALISATION_FILE = "normalisation.json"

UNKNOWN = 3  # in the XLM-R family, unless the model says otherwise
WORD_START = "\u2581"

_SPACES = re.compile(" {2,}")
_UNREACHED = -1e30


class Unigram:
    """A unigram language model: pieces with log probabilities, and the best segmentation of texts.

    Segments as Kudo's unigram language model does (2018, arxiv.org/abs/1804.10959), by Viterbi's algorithm.
    """

    def __init__(self, folder: Path) -> None:
        pieces = np.load(folder / PIECES_FILE, mmap_mode="r")
        self._hashes = np.asarray(pieces[0])
        self._ids = np.asarray(pieces[1]).view("<i4")[0::2]
        self._scores = np.asarray(pieces[1]).view("<f4")[1::2]
        settings = json.loads((folder / NORMALISATION_FILE).read_text(encoding="utf-8"))
        self._replacements = {int(code): replacement for code, replacement in settings["characters"].items()}
        self._unknown_score: float = settings["unknown_score"]
        self._longest: int = settings["longest"]
        self._unknown: int = settings.get("unknown", UNKNOWN)
        # The two reference libraries differ: one segments a whole text in float32 and leaves unknown characters single,
        # the other each word in float64, and merges runs of unknown characters.
        self._by_word: bool = settings.get("by_word", False)

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the token ids of a text without special tokens: at least the first `limit`."""
        if limit is not None:
            # Text beyond the reach of `limit` longest pieces cannot contribute.
            text = text[: limit * self._longest]
        text = text.translate(self._replacements)
        if not self._by_word:
            text = _SPACES.sub(" ", text)
            return self._best_path((text if text.startswith(" ") else " " + text).replace(" ", WORD_START), "f")
        words = text.replace(WORD_START, " ").split()
        return self._joined(self._best_path("".join(WORD_START + word for word in words), "d")) if words else []

    def _joined(self, ids: list[int]) -> list[int]:
        """Return the ids with runs of unknown pieces merged."""
        return [
            piece for before, piece in zip([-1, *ids], ids, strict=False) if piece != self._unknown or piece != before
        ]

    def _best_path(self, text: str, precision: str) -> list[int]:
        # Rounded after each step, as in the original: near ties in long texts depend on it.
        best = array(precision, [0.0]) + array(precision, [_UNREACHED]) * len(text)
        back = [(0, self._unknown)] * (len(text) + 1)
        rounded = array(precision, [0.0])
        for start, matches in enumerate(self._matches(text)):
            if self._by_word and text[start] == WORD_START:
                best[start] = 0.0
            for end, piece, score in (*matches, (start + 1, self._unknown, self._unknown_score)):
                rounded[0] = best[start] + score
                if rounded[0] > best[end]:
                    best[end] = rounded[0]
                    back[end] = (start, piece)
        return _walked(back)

    def _matches(self, text: str) -> Iterator[list[tuple[int, int, float]]]:
        """Yield for each position the pieces that start there, as (end, id, score)."""
        points = codes(text)
        starts, ends, hashes = _substrings(points, self._longest)
        rows = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        matches = np.flatnonzero(self._hashes[rows] == hashes)
        matches = matches[np.argsort(starts[matches], kind="stable")]
        rows = rows[matches]
        triples = list(zip(ends[matches].tolist(), self._ids[rows].tolist(), self._scores[rows].tolist(), strict=True))
        bounds = np.searchsorted(starts[matches], np.arange(len(points) + 1)).tolist()
        for begin, end in pairwise(bounds):
            yield triples[begin:end]


def _substrings(points: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, ends and hashes of all substrings up to `longest` that lie within one word.

    No piece goes past the start of a word, so the substrings are 4 to a character and not 16.
    """
    seeds = np.zeros(len(points), dtype=np.uint64)
    by_length = substrings(points, points != ord(WORD_START), seeds, longest)
    starts, ends, hashes = (np.concatenate(part) for part in zip(*by_length, strict=True))
    return starts, ends, hashes


def _walked(back: list[tuple[int, int]]) -> list[int]:
    ids = []
    place = len(back) - 1
    while place:
        place, piece = back[place]
        ids.append(piece)
    return ids[::-1]
