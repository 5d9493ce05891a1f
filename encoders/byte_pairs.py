"""The tokenizer of RoBERTa models: byte pair encoding over a memory-mapped table of merges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from encoders.normalizer import Characters

MERGES_FILE = "merges.npy"
SETTINGS_FILE = "byte_pairs.json"

# The pattern of GPT-2 over character classes: the table tells which characters are letters and numbers, and the letters
# of English contractions stand for themselves.
ENDINGS = "strevmld"
LETTER, NUMBER, SPACE, OTHER = "a", "1", "\n", "."
_PARTS = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[a-z]+| ?1+| ?[.']+|[ \n]+(?![^ \n])|[ \n]+")
_NO_MERGE = (1 << 32) - 1
_PARTS_KEPT = 2048  # about 0.5 MB; a text repeats its words


class BytePairs:
    """Byte pair encoding with a model's merges (Sennrich et al. 2016, arxiv.org/abs/1508.07909)."""

    def __init__(self, folder: Path) -> None:
        merges = np.load(folder / MERGES_FILE, mmap_mode="r")
        self._pairs = np.asarray(merges[0])
        self._merged = np.asarray(merges[1])
        self._kinds = Characters(folder)
        settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
        self._bytes: list[int] = settings["bytes"]
        self._space_first: bool = settings["space_first"]
        self._part_ids = lru_cache(_PARTS_KEPT)(self._ids_of_part)

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
        return (text[match.start() : match.end()] for match in _PARTS.finditer(kinds))

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
