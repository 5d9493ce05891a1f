"""The table of Hebrew and common English word frequencies, from the lists in the wordfreq wheel (data CC BY-SA 4.0)."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from encoders.preparing.folder import make_folder
from encoders.preparing.wheels import downloaded_wheel, wheel_member
from utils.hebrew import ANALYSIS_VERSION, forms
from utils.word_frequencies import (
    FORMAT,
    MANIFEST_FILE,
    WORDS_FILE,
    FrequenciesUnusable,
    packed_frequencies,
    read_frequencies,
)
from utils.word_readings import PREFIX_LETTERS, SIMPLE_PREFIXES

VERSION = "3.1.1"
MEMBER = "wordfreq/data/large_he.msgpack.gz"
SHA256 = "4b35ef0a8e6226e4f062d3220c9b2982f4c70a5c90f60864e16e7ed98bbfb3d9"
ENGLISH_MEMBER = "wordfreq/data/large_en.msgpack.gz"
ENGLISH_SHA256 = "dffae8066b78dce0a6667cf5f58e567054f902674667090a7ac8a8a44628b05c"
SOURCE = f"the Hebrew and English lists of the package wordfreq {VERSION} by Robyn Speer: folded, rounded and cut here"
LICENCE = "CC BY-SA 4.0"

# Rarer words are left out: a third of the list, which changes 1 reading in 200.
THRESHOLD = 3e-8
# English words only tell a word that no document has from a slip.
ENGLISH_THRESHOLD = 1e-6
_FREE_BYTES = 80 * 2**20  # the wheel has 57 MB
_HEBREW_WORD, _ENGLISH_WORD = re.compile("[א-ת]+"), re.compile("[a-z]+")
_COMMON_WORDS = 4_000
_LEAST_RATIO = 1e-5


def prepare_hebrew_words(folder: Path) -> bool:
    """Make the folder of the table and return True, or False if it is already complete. Raises NotPrepared."""
    try:
        if read_frequencies(folder) is not None:
            return False
    except FrequenciesUnusable:
        pass  # it is made again
    make_folder(folder, _FREE_BYTES, _fill)
    return True


def _fill(new: Path) -> None:
    wheel = downloaded_wheel("wordfreq", VERSION, new.parent)
    hebrew = form_frequencies(gzip.decompress(wheel_member(wheel, MEMBER, SHA256)))
    content = gzip.decompress(wheel_member(wheel, ENGLISH_MEMBER, ENGLISH_SHA256))
    english = form_frequencies(content, _ENGLISH_WORD, ENGLISH_THRESHOLD)
    write_frequencies(new, hebrew, english=english)


def write_frequencies(
    folder: Path,
    frequencies: Mapping[str, float],
    threshold: float = THRESHOLD,
    english: Mapping[str, float] = {},
) -> None:
    """Write the table and the manifest beside it."""
    kept = {form: frequency for form, frequency in frequencies.items() if frequency >= threshold}
    table = packed_frequencies({**kept, **english})
    (folder / WORDS_FILE).write_bytes(table)
    manifest = {
        "format": FORMAT,
        "analysis": ANALYSIS_VERSION,
        "source": SOURCE,
        "licence": LICENCE,
        "threshold": threshold,
        "ratios": prefix_ratios(frequencies),
        "files": {WORDS_FILE: hashlib.sha256(table).hexdigest()},
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def form_frequencies(
    content: bytes, pattern: re.Pattern[str] = _HEBREW_WORD, threshold: float = 0.0
) -> dict[str, float]:
    """Return the frequency of each folded form of a list that matches: words by centibels of their frequency."""
    found: dict[str, float] = {}
    _header, *words_by_centibels = _unpacked(content)
    for centibels, words in enumerate(words_by_centibels):
        frequency = 10 ** (-centibels / 100)
        if frequency < threshold:
            break
        for word in words:
            folded = forms(word)
            if len(folded) == 1 and pattern.fullmatch(folded[0]):
                found[folded[0]] = found.get(folded[0], 0.0) + frequency
    return found


def prefix_ratios(frequencies: Mapping[str, float]) -> dict[str, float]:
    """Return how often each prefix stands before a word, by the commonest that begin with no prefix letter."""
    plain = (form for form in frequencies if len(form) > 3 and form[0] not in PREFIX_LETTERS)
    common = sorted(plain, key=lambda form: -frequencies[form])[:_COMMON_WORDS]
    total = sum(frequencies[form] for form in common)
    behind = {prefix: sum(frequencies.get(prefix + form, 0.0) for form in common) for prefix in SIMPLE_PREFIXES}
    return {prefix: max(_LEAST_RATIO, seen / total) for prefix, seen in behind.items()}


def _unpacked(content: bytes) -> Any:
    """Return the value of MessagePack with the types that such a list has: arrays, maps, strings, small integers."""
    return _value(iter(content))


def _value(content: Iterator[int]) -> Any:
    code = next(content)
    if code < 0x80:
        return code
    if code < 0x90:
        return {_value(content): _value(content) for _ in range(code & 0x0F)}
    if code < 0xA0:
        return [_value(content) for _ in range(code & 0x0F)]
    if code < 0xC0:
        return _text(content, code & 0x1F)
    if code in (0xD9, 0xDA, 0xDB):
        return _text(content, _number(content, 1 << (code - 0xD9)))
    if code in (0xDC, 0xDD):
        return [_value(content) for _ in range(_number(content, 2 << (code - 0xDC)))]
    raise ValueError(f"type {code:#x} of MessagePack is not expected in a list of words")


def _text(content: Iterator[int], length: int) -> str:
    return bytes(next(content) for _ in range(length)).decode("utf-8")


def _number(content: Iterator[int], length: int) -> int:
    return int.from_bytes(bytes(next(content) for _ in range(length)), "big")
