"""The collections that are read where they are there: too large to travel with the code."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def shared_rows(name: str) -> list[dict[str, Any]]:
    """Return the objects of a shared JSONL file; skips the test where it is not there."""
    if not (DATA / name).is_file():
        pytest.skip(f"the shared collection {name} is not there")
    return _read(name)


@cache
def _read(name: str) -> list[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
