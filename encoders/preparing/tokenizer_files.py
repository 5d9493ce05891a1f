"""Writes a published tokenizer as files that encoders/ maps into memory."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from encoders.preparing.folder import NotPrepared
from encoders.preparing.pieces import hashes_of, write_hashed, write_vocabulary
from encoders.tokenizers import (
    BYTE_PAIRS_FILE,
    ENDINGS,
    INNER_SEED,
    LETTER,
    MERGES_FILE,
    NUMBER,
    OTHER,
    SPACE,
    WORDPIECE_FILE,
)
from encoders.vocabulary_tables import ALL_CHARACTERS, APART, CHARACTERS_FILE

_Write = Callable[[Any, dict[str, Any], Path, bool], None]

_SURROGATES = range(0xD800, 0xE000)


def write_tokenizer(backend: Any, folder: Path, lower_case: bool = False) -> dict[str, Any]:
    """Write the files of a tokenizers.Tokenizer and return its entries in the manifest. Raises NotPrepared.

    `lower_case` is for models that lowercase a text before tokenization.
    """
    parts = json.loads(backend.to_str())
    kind = parts["model"]["type"]
    writers: dict[str, tuple[str, _Write]] = {
        "WordPiece": ("wordpiece", write_wordpiece),
        "BPE": ("byte-pairs", write_byte_pairs),
        "Unigram": ("unigram", write_unigram),
    }
    if kind not in writers:
        raise NotPrepared(f"the model has a tokenizer of the kind {kind}, which is not supported; choose another model")
    name, write = writers[kind]
    write(backend, parts, folder, lower_case)
    marks = backend.encode("").ids
    if len(marks) != 2:
        raise NotPrepared(f"the model adds {len(marks)} special tokens to a text, and not one before and one after it")
    return {"tokenizer": name, "start_token": marks[0], "end_token": marks[1]}


def write_wordpiece(backend: Any, parts: dict[str, Any], folder: Path, lower_case: bool) -> None:
    """Write the pieces by hash, the characters and the settings of a BERT tokenizer."""
    model = parts["model"]
    prefix = model["continuing_subword_prefix"]
    inner = {piece.removeprefix(prefix): number for piece, number in model["vocab"].items() if piece.startswith(prefix)}
    inner.pop("", None)
    first = {piece: number for piece, number in model["vocab"].items() if piece}
    hashes = np.concatenate([hashes_of(list(first)), hashes_of(list(inner), INNER_SEED)])
    numbers = np.array([*first.values(), *inner.values()], dtype=np.uint64)
    write_hashed(folder, hashes, numbers)
    np.save(folder / CHARACTERS_FILE, character_table(_words_apart(backend, lower_case)))
    settings = {
        "unknown": model["vocab"][model["unk_token"]],
        "longest": max(map(len, [*first, *inner])),
        "longest_word": model["max_input_chars_per_word"],
    }
    (folder / WORDPIECE_FILE).write_text(json.dumps(settings) + "\n", encoding="utf-8")


def write_byte_pairs(backend: Any, parts: dict[str, Any], folder: Path, lower_case: bool) -> None:
    """Write the merges by pair, the kinds of characters and the settings of a RoBERTa tokenizer."""
    split = parts["pre_tokenizer"] or {}
    if split.get("type") != "ByteLevel" or not split.get("use_regex", True) or parts["normalizer"] or lower_case:
        raise NotPrepared("the model normalizes or splits texts before its byte pairs in a way that is not supported")
    vocabulary = parts["model"]["vocab"]
    pairs, merged = [], []
    for rank, merge in enumerate(parts["model"]["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        pairs.append(vocabulary[left] << 32 | vocabulary[right])
        merged.append(rank << 32 | vocabulary[left + right])
    order = np.argsort(np.array(pairs, dtype=np.uint64))
    np.save(folder / MERGES_FILE, np.array([pairs, merged], dtype=np.uint64)[:, order])
    np.save(folder / CHARACTERS_FILE, character_table(_kinds(backend)))
    letters = _byte_letters()
    settings = {"bytes": [vocabulary[letters[byte]] for byte in range(256)], "space_first": split["add_prefix_space"]}
    (folder / BYTE_PAIRS_FILE).write_text(json.dumps(settings) + "\n", encoding="utf-8")


def write_unigram(backend: Any, parts: dict[str, Any], folder: Path, lower_case: bool) -> None:
    """Write the pieces by hash, the characters and the settings of an XLM-R tokenizer."""
    model = parts["model"]
    if model.get("byte_fallback") or lower_case:
        raise NotPrepared("the model falls back to bytes or lowercases texts before its pieces, which is not supported")
    pieces = [piece for piece, _ in model["vocab"]]
    scores = np.array([score for _, score in model["vocab"]], dtype=np.float32)
    write_vocabulary(pieces, scores, _replaced(backend), folder, {"unknown": model["unk_id"], "by_word": True})


def _words_apart(backend: Any, lower_case: bool) -> Iterator[str]:
    """Yield the normalized form of each character, with spaces where it begins and ends words."""
    for code in range(ALL_CHARACTERS):
        if code in _SURROGATES:
            yield ""  # a surrogate, which no UTF-8 text contains
            continue
        normal = chr(code).lower() if lower_case else chr(code)
        if backend.normalizer is not None:
            normal = backend.normalizer.normalize_str(normal)
        # Between two letters, whether it ends the word, stands alone, or belongs to it.
        words = backend.pre_tokenizer.pre_tokenize_str(f"a{normal}a")
        yield " ".join(word for word, _ in words)[1:-1]


def _kinds(backend: Any) -> Iterator[str]:
    """Yield the kind of each character: characters of one kind can form a token."""
    for code in range(ALL_CHARACTERS):
        character = chr(code)
        if character in (*ENDINGS, " ", "'"):
            yield character
        elif code in _SURROGATES:
            yield OTHER
        else:
            # The likely kind first, which needs one test instead of three for nearly all characters.
            kinds = dict.fromkeys((_likely(character), LETTER, NUMBER, OTHER))
            yield next((kind for kind in kinds if _goes_on(backend, kind, character)), SPACE)


def _likely(character: str) -> str:
    return {"L": LETTER, "N": NUMBER}.get(unicodedata.category(character)[0], OTHER)


def _goes_on(backend: Any, before: str, character: str) -> bool:
    return len(backend.pre_tokenizer.pre_tokenize_str(before + character)) == 1


def _byte_letters() -> dict[int, str]:
    """Return the letter for each byte in a vocabulary: itself if it is printable (GPT-2's table)."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + place) for place, byte in enumerate(unseen)}


def _replaced(backend: Any) -> dict[int, str]:
    """Return the normalized forms of the characters that the tokenizer changes, each between two letters."""
    if backend.normalizer is None:
        return {}
    found = {}
    for code in range(ALL_CHARACTERS):
        if code not in _SURROGATES:
            normal = backend.normalizer.normalize_str(f"א{chr(code)}א")[1:-1]
            if normal != chr(code):
                found[code] = normal
    return found


def character_table(replacements: Iterable[str]) -> np.ndarray:
    """Return the uint32 table of the replacements of all code points, in order.

    A value below ALL_CHARACTERS is one character; with APART it stands by itself; any other is the place, in the
    same array, of a length and of so many characters.
    """
    values: list[int] = []
    more: list[int] = []
    places: dict[str, int] = {}
    for replacement in replacements:
        inner = replacement[1:-1]
        if len(replacement) == 1:
            values.append(ord(replacement))
        elif len(inner) == 1 and replacement == f" {inner} ":
            values.append(ord(inner) | APART)
        else:
            if replacement not in places:
                places[replacement] = ALL_CHARACTERS + len(more)
                more += [len(replacement), *map(ord, replacement)]
            values.append(places[replacement])
    return np.array(values + more, dtype=np.uint32)
