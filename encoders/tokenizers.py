"""The kinds of tokenizers that a model folder may name, over memory-mapped tables.

The usual libraries hold the 250,000 pieces of XLM-RoBERTa in 71 to 297 MB, and the 52,000 of AlephBERT would take 10 MB
as Python objects; here they are rows of a file, of which a text touches a few pages.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from encoders.vocabulary_tables import Characters, codes, substrings

PIECES_FILE = "pieces.npy"
NORMALISATION_FILE = "normalisation.json"
WORDPIECE_FILE = "wordpiece.json"
MERGES_FILE = "merges.npy"
BYTE_PAIRS_FILE = "byte_pairs.json"

UNKNOWN = 3  # in the XLM-R family, unless the model says otherwise
WORD_START = "\u2581"
_SPACES = re.compile(" {2,}")
_UNREACHED = -1e30

# Pieces inside a word ("##ים") are a vocabulary of their own, with a different hash seed.
INNER_SEED = 0x5BD1E995
_SPACE = np.uint32(ord(" "))
_WORDS_AT_ONCE = 256

# The pattern of GPT-2 over character classes: the table tells which characters are letters and numbers, and the letters
# of English contractions stand for themselves.
ENDINGS = "strevmld"
LETTER, NUMBER, SPACE, OTHER = "a", "1", "\n", "."
_BYTE_PAIR_PARTS = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[a-z]+| ?1+| ?[.']+|[ \n]+(?![^ \n])|[ \n]+")
_NO_MERGE = (1 << 32) - 1
_PARTS_CACHED = 2048  # about 0.5 MB; a text repeats its words


class Tokenizer(Protocol):
    """Splits texts into token ids."""

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the token ids of a text without special tokens: at least the first `limit`."""


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
        settings = json.loads((folder / WORDPIECE_FILE).read_text(encoding="utf-8"))
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


class BytePairs:
    """Byte pair encoding with a model's merges (Sennrich et al. 2016, arxiv.org/abs/1508.07909)."""

    def __init__(self, folder: Path) -> None:
        merges = np.load(folder / MERGES_FILE, mmap_mode="r")
        self._pairs = np.asarray(merges[0])
        self._merged = np.asarray(merges[1])
        self._kinds = Characters(folder)
        settings = json.loads((folder / BYTE_PAIRS_FILE).read_text(encoding="utf-8"))
        self._bytes: list[int] = settings["bytes"]
        self._space_first: bool = settings["space_first"]
        self._part_ids = lru_cache(_PARTS_CACHED)(self._ids_of_part)

    def ids(self, text: str, limit: int | None = None) -> list[int]:
        """Return the token ids of a text without special tokens: at least the first `limit`."""
        ids: list[int] = []
        for part in self._parts(text):
            ids += self._part_ids(part)
            if limit is not None and len(ids) >= limit:
                break
        return ids

    def _parts(self, text: str) -> Iterator[str]:
        if self._space_first and text and not text[0].isspace():
            text = " " + text
        kinds = text.translate(self._kinds)
        return (text[match.start() : match.end()] for match in _BYTE_PAIR_PARTS.finditer(kinds))

    def _ids_of_part(self, part: str) -> tuple[int, ...]:
        ids = [self._bytes[byte] for byte in part.encode("utf-8", "surrogatepass")]
        merges = [self._merge(pair) for pair in pairwise(ids)]
        while merges and (first := min(merges))[0] != _NO_MERGE:
            place = merges.index(first)
            ids[place : place + 2] = [first[1]]
            begin = max(place - 1, 0)
            merges[begin : place + 2] = [self._merge(pair) for pair in pairwise(ids[begin : place + 2])]
        return tuple(ids)

    def _merge(self, pair: tuple[int, int]) -> tuple[int, int]:
        """Return the rank of a merge (the lowest is applied first) and the id of its result."""
        key = np.uint64(pair[0] << 32 | pair[1])
        row = int(np.searchsorted(self._pairs, key))
        if row == len(self._pairs) or self._pairs[row] != key:
            return _NO_MERGE, 0
        value = int(self._merged[row])
        return value >> 32, value & _NO_MERGE


# By the manifest's `tokenizer`.
TOKENIZERS: dict[str, Callable[[Path], Tokenizer]] = {
    "unigram": Unigram,
    "wordpiece": WordPiece,
    "byte-pairs": BytePairs,
}
