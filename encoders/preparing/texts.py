"""A sample of the user's own texts, on which a model is measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from encoders.preparing.folder import NotPrepared
from encoders.score_range import Pair, Sample, built_in_sample

MOST_PAIRS = 500
FEWEST_PAIRS = 30
_WINDOW = 300  # characters of a chunk, which search compares with a query
_SENTENCE = re.compile(r"(.{8,200}?[.!?:])\s+(\S.{20,})", re.DOTALL)


def read_sample(path: Path) -> Sample:
    """Return the sample in a file: each line is a JSON object with title and body, or a plain text.

    The first sentence of a plain text is the query for the rest. Raises NotPrepared.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise NotPrepared(f"{path} cannot be read ({error}); give a file of texts in UTF-8") from None
    pairs_of_lines = [pair for number, line in enumerate(lines, 1) if (pair := _pair(path, number, line))]
    unique = list({pair.query: pair for pair in pairs_of_lines}.values())
    if len(unique) < FEWEST_PAIRS:
        raise NotPrepared(
            f"{path} has {len(unique)} texts with a title, or with more than one sentence, and measuring takes "
            f"{FEWEST_PAIRS}: add some, or leave --texts out"
        )
    step = max(1, len(unique) // MOST_PAIRS)  # from the whole file, not only its beginning
    pairs = tuple(unique[::step][:MOST_PAIRS])
    queries = tuple(pair.query for pair in pairs) + built_in_sample().queries
    return Sample(pairs, tuple(pair.passage for pair in pairs), queries)


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
