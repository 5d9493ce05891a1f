"""The tokenizer of XLM-RoBERTa models: the likeliest pieces of a text, found over a memory-mapped table.

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

START, END, UNKNOWN = 0, 2, 3
WORD_START = "\u2581"

_SPACES = re.compile(" {2,}")
_UNREACHED = -1e30


class Unigram:
    """The pieces of a model with their log probabilities, and the segmentation of texts into them.

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

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the ids of a text's pieces, without the marks for its start and end: at least the first limit."""
        if limit is not None:
            # What comes later than the longest pieces would reach cannot be among the first limit.
            text = text[: limit * self._longest]
        return self._best_path(self._normalised(text))

    def _normalised(self, text: str) -> str:
        text = _SPACES.sub(" ", text.translate(self._replacements))
        return (text if text.startswith(" ") else " " + text).replace(" ", WORD_START)

    def _best_path(self, text: str) -> list[int]:
        # Sums are rounded to float32 after each step, as in the original: in long texts near ties hang on it.
        best = array("f", [0.0]) + array("f", [_UNREACHED]) * len(text)
        back = [(0, UNKNOWN)] * (len(text) + 1)
        rounded = array("f", [0.0])
        for start, matches in enumerate(self._matches(text)):
            for end, piece, score in (*matches, (start + 1, UNKNOWN, self._unknown_score)):
                rounded[0] = best[start] + score
                if rounded[0] > best[end]:
                    best[end] = rounded[0]
                    back[end] = (start, piece)
        return _walked(back)

    def _matches(self, text: str) -> Iterator[list[tuple[int, int, float]]]:
        """Yield for every place in text the pieces that begin there, each with its end, id and score."""
        points = codes(text)
        starts, ends, hashes = _substrings(points, self._longest)
        rows = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        found = np.flatnonzero(self._hashes[rows] == hashes)
        found = found[np.argsort(starts[found], kind="stable")]
        rows = rows[found]
        triples = list(zip(ends[found].tolist(), self._ids[rows].tolist(), self._scores[rows].tolist(), strict=True))
        bounds = np.searchsorted(starts[found], np.arange(len(points) + 1)).tolist()
        for begin, end in pairwise(bounds):
            yield triples[begin:end]


def _substrings(points: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, ends and hashes of all substrings up to longest that stay within one word.

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
