"""How frequent Hebrew words are: a memory-mapped table of folded forms, looked up by hash."""

from __future__ import annotations

import hashlib
import json
import zlib
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from utils.hebrew import ANALYSIS_VERSION

HEBREW_WORDS = "hebrew-words"  # its folder beside the models
WORDS_FILE = "words.bin"
MANIFEST_FILE = "words.json"  # not manifest.json, by which model folders are found
FORMAT = 1
MAKE_AGAIN = "make it with scripts/prepare_model.py hebrew-words; until then Hebrew words are read by rules alone"
_BUCKETS = 1 << 16
_MAGIC = b"MATMONWF"
_HEADER = np.dtype([("magic", "S8"), ("format", "<u4"), ("count", "<u4")])
# A level is a twentieth of a power of ten: 12 % a step, one byte for 1 to 1e-12.
_STEPS = 20.0


class FrequenciesUnusable(Exception):
    """The table is damaged or of another version; the message says what to do."""


class WordFrequencies:
    """The frequency of folded Hebrew forms, and how often each prefix stands before a word.

    An unknown form is taken for a known one with a probability of some 1e-4: forms are kept as 32-bit hashes.
    """

    def __init__(self, table: np.ndarray, ratios: Mapping[str, float], threshold: float) -> None:
        header = table[: _HEADER.itemsize].view(_HEADER)[0]
        count = int(header["count"])
        bounds = _HEADER.itemsize, _HEADER.itemsize + 4 * (_BUCKETS + 1)
        ends = bounds[1], bounds[1] + 2 * count, bounds[1] + 3 * count
        self.count = count
        self.ratios = dict(ratios)
        self.threshold = threshold  # rarer words are not in the table
        # memoryview: reading one element of a numpy array costs five times as much.
        self._starts: memoryview[int] = table[bounds[0] : bounds[1]].data.cast("B").cast("I")
        self._hashes: memoryview[int] = table[ends[0] : ends[1]].data.cast("B").cast("H")
        self._levels: memoryview[int] = table[ends[1] : ends[2]].data.cast("B")

    def get(self, form: str) -> float:
        """Return the share of a folded form among all words of texts, 0 if it is unknown."""
        code = zlib.crc32(form.encode("utf-8", "surrogatepass"))
        bucket, rest = code >> 16, code & 0xFFFF
        end = self._starts[bucket + 1]
        place = bisect_left(self._hashes, rest, self._starts[bucket], end)
        if place < end and self._hashes[place] == rest:
            return _FREQUENCIES[self._levels[place]]
        return 0.0


_FREQUENCIES: list[float] = [10.0 ** (-level / _STEPS) for level in range(256)]


def packed_frequencies(frequencies: Mapping[str, float]) -> bytes:
    """Return the table as bytes: header, uint32 bucket starts, uint16 hashes, uint8 levels."""
    levels: dict[int, int] = {}
    for form, frequency in frequencies.items():
        code = zlib.crc32(form.encode())
        level = int(np.clip(round(-np.log10(frequency) * _STEPS), 0, 255))
        levels[code] = min(level, levels.get(code, 255))
    codes = np.array(sorted(levels), np.uint32)
    starts = np.searchsorted(codes >> 16, np.arange(_BUCKETS + 1)).astype("<u4")
    header = np.array([(_MAGIC, FORMAT, len(codes))], _HEADER)
    hashes = (codes & 0xFFFF).astype("<u2")
    of_codes = np.array([levels[code] for code in codes.tolist()], np.uint8)
    return b"".join(part.tobytes() for part in (header, starts, hashes, of_codes))


def read_frequencies(folder: Path) -> WordFrequencies | None:
    """Map the table of a folder, None if there is no such folder. Raises FrequenciesUnusable."""
    path = folder / MANIFEST_FILE
    if not path.exists():
        return None
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (manifest["format"], manifest["analysis"]) != (FORMAT, ANALYSIS_VERSION):
            raise FrequenciesUnusable(f"{folder} is of another version of Matmon: {MAKE_AGAIN}")
        with (folder / WORDS_FILE).open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        if checksum != manifest["files"][WORDS_FILE]:
            raise FrequenciesUnusable(f"{folder / WORDS_FILE} is damaged (another sha256): {MAKE_AGAIN}")
        table = np.memmap(folder / WORDS_FILE, np.uint8, "r")
        ratios = {str(prefix): float(ratio) for prefix, ratio in manifest["ratios"].items()}
        return WordFrequencies(table, ratios, float(manifest["threshold"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FrequenciesUnusable(f"{folder} cannot be read ({error}): {MAKE_AGAIN}") from error


def frequencies_or_problem(folder: Path) -> tuple[WordFrequencies | None, str]:
    """Return the table of a folder, or None and what to do about it."""
    try:
        frequencies = read_frequencies(folder)
    except FrequenciesUnusable as error:
        return None, str(error)
    return frequencies, "" if frequencies else f"{folder} is not there: {MAKE_AGAIN}"
