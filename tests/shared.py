"""What is used where it is there: collections too large to travel with the code, and a tool that limits memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = SHARED / "data"
LIMITER = SHARED / "tools" / "with-memory-limit"


def shared_rows(name: str) -> list[dict[str, Any]]:
    """Return the objects of a shared JSONL file; skips the test where it is not there."""
    if not (DATA / name).is_file():
        pytest.skip(f"the shared collection {name} is not there")
    return _read(name)


@cache
def _read(name: str) -> list[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def limited(report: Path, limit: str) -> list[str]:
    """Return what puts a command under a hard memory limit and writes down what it took; skips where it cannot."""
    under = [str(LIMITER), limit, "--json", str(report), "--"]
    if not LIMITER.exists() or os.geteuid() != 0 or not _works(under):
        pytest.skip("a hard memory limit needs root, a control group and the tool that sets one")
    return under


def _works(under: list[str]) -> bool:
    return subprocess.run([*under, sys.executable, "-c", ""], capture_output=True, check=False).returncode == 0
