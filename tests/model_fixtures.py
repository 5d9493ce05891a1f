"""The prepared model that the tests of the encoder run on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def e5_folder() -> Path:
    """models/e5-small, prepared if it is not there; skips where it cannot be had, and under CI fails."""
    made = prepare("e5-small")
    if made.returncode:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"no e5-small model: {made.stderr.strip()}")
    return ROOT / "models" / "e5-small"


def prepare(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "prepare_model.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
