"""The tokenizer of BERT models: longest match first, over a memory-mapped table.

As Python objects the 52,000 pieces of AlephBERT would take about 10 MB; here a text touches a few pages of a file.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np

from encoders.hashes import codes, substrings
from encoders.normalizer import Characters

PIECES_FILE = "pieces.npy"
SETTINGS_FILE = "wordpiece.json"

# Pieces inside a word ("##ים") are a vocabulary of their own, with a different hash seed.
INNER_SEED = 0x5BD1E995
_SPACE = np.uint32(ord(" "))
_WORDS_AT_ONCE = 256


class WordPiece:
    """A WordPiece vocabulary, and the segmentation of texts by it.

    Greedy from the left, as in Wu et al. 2016 (arxiv.org/abs/1609.08144) and in the original BERT; a word that
    cannot be covered is one unknown piece. Special tokens such as [SEP] that a text spells out are plain letters.
    """

    def __init__(self, folder: Path) -> None:
        pieces = np.load(folder / PIECES_FILE, mmap_mode="r")
        self._hashes = np.asarray(pieces[0])
        self._ids = np.asarray(pieces[1])
        self._characters = Characters(folder)
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        self._unknown: int = settings["unknown"]
        self._longest: int = settings["longest"]
        self._longest_word: int = settings["longest_word"]

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the token ids of a text without special tokens: at least the first `limit`."""
        words = iter(text.translate(self._characters).split(" "))
        ids: list[int] = []
        while (limit is None or len(ids) < limit) and (some := list(islice(words, _WORDS_AT_ONCE))):
            self._add(ids, [word for word in some if word])
        return ids

    def _add(self, ids: list[int], words: list[str]) -> None:
        """Append the pieces of words."""
        words = [word if len(word) <= self._longest_word else "" for word in words]
        ends, pieces = self._matches(" ".join(words))
        begin = 0
        for word in words:
            ids += _covered(begin, begin + len(word), ends, pieces) or [self._unknown]
            begin += len(word) + 1

    def _matches(self, text: str) -> tuple[list[int], list[int]]:
        """Return for each position the end of the longest piece that starts there (0 for none) and its id."""
        points = codes(text)
        ends, pieces = np.zeros(len(points), dtype=np.intp), np.zeros(len(points), dtype=np.int64)
        inner = points != _SPACE
        seeds = np.full(len(points), INNER_SEED, dtype=np.uint64)
        seeds[:1] = 0
        seeds[1:][~inner[:-1]] = 0
        for starts, stops, hashes in substrings(points, inner, seeds, self._longest):
            rows = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
            matches = np.flatnonzero(self._hashes[rows] == hashes)
            ends[starts[matches]] = stops[matches]
            pieces[starts[matches]] = self._ids[rows[matches]]
        return ends.tolist(), pieces.tolist()


def _covered(begin: int, end: int, ends: list[int], pieces: list[int]) -> list[int]:
    """Return the pieces of the word from begin to end; empty if they do not cover it."""
    word_pieces = []
    while begin < end:
        if not ends[begin]:
            return []
        word_pieces.append(pieces[begin])
        begin = ends[begin]
    return word_pieces
