"""Queries that the first page suggests while the sample collection is there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

SAMPLE = "sample"
FILE = Path(__file__).resolve().parents[1] / "data" / "sample-queries.json"


@cache
def _read() -> tuple[dict[str, str], ...]:
    return tuple(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.exists() else ()


def sample_queries(collections: Sequence[str]) -> tuple[dict[str, str], ...]:
    """Return {"q", "mode", "lang", "note_he", "note_en"} for each query to try; none without the collection."""
    return _read() if SAMPLE in collections else ()
