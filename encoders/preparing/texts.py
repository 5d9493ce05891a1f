"""The texts that a model is measured on: the built-in sample, or a file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from encoders.preparing import sample
from encoders.preparing.folder import NotPrepared
from encoders.preparing.pairs import QUESTIONS

MOST_PAIRS = 500
FEWEST_PAIRS = 30
_WINDOW = 300  # characters of a chunk, which search compares with a query
_SENTENCE = re.compile(r"(.{8,200}?[.!?:])\s+(\S.{20,})", re.DOTALL)


@dataclass(frozen=True)
class Pair:
    """A query and a passage that answers it."""

    query: str
    passage: str


@dataclass(frozen=True)
class Sample:
    """Pairs of a query and its right passage, and all passages and queries for the means."""

    pairs: tuple[Pair, ...]
    passages: tuple[str, ...]
    queries: tuple[str, ...]


def built_in() -> Sample:
    """Return the built-in sample, Hebrew and English."""
    pairs = tuple(Pair(query, passage) for query, passage in zip(QUESTIONS, sample.PASSAGES, strict=True))
    return Sample(pairs, sample.PASSAGES, sample.QUERIES)


def read_sample(path: Path) -> Sample:
    """Return the sample in a file with one text per line: a JSON object with title and body, or plain text.

    The first sentence of a plain text is used as a query for the rest. Raises NotPrepared.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise NotPrepared(f"{path} cannot be read ({error}); use a UTF-8 text file") from None
    found = [pair for number, line in enumerate(lines, 1) if (pair := _pair(path, number, line))]
    unique = list({pair.query: pair for pair in found}.values())
    if len(unique) < FEWEST_PAIRS:
        raise NotPrepared(
            f"{path} has {len(unique)} texts with a title, or with more than one sentence, and measuring takes "
            f"{FEWEST_PAIRS}: add some, or leave --texts out"
        )
    step = max(1, len(unique) // MOST_PAIRS)  # from the whole file, not only its beginning
    pairs = tuple(unique[::step][:MOST_PAIRS])
    return Sample(pairs, tuple(pair.passage for pair in pairs), tuple(pair.query for pair in pairs) + sample.QUERIES)


def has_hebrew(text: str) -> bool:
    return any("א" <= letter <= "ת" for letter in text)


def _pair(path: Path, number: int, line: str) -> Pair | None:
    if not line.lstrip().startswith("{"):
        return _split(line)
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise NotPrepared(f"line {number} of {path} is not a JSON object ({error}): fix or remove it") from None
    title, body = str(row.get("title") or "").strip(), str(row.get("body") or row.get("description") or "").strip()
    return Pair(title, body[:_WINDOW]) if title and body else _split(body or title)


def _split(text: str) -> Pair | None:
    parts = _SENTENCE.match(text.strip())
    return Pair(parts[1], parts[2][:_WINDOW]) if parts else None
