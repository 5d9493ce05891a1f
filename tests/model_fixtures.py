"""The prepared models that the tests of the encoder run on, and the environment that prepares them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tests.once import made_once

ROOT = Path(__file__).resolve().parents[1]
PREPARING = ROOT / ".venv-prepare" / "bin" / "python"


@pytest.fixture(scope="session")
def e5_folder() -> Path:
    """models/e5-small, prepared if it is not there; skips where it cannot be had, and under CI fails."""
    made = prepare("e5-small")
    if made.returncode:
        missing(f"no e5-small model: {made.stderr.strip()}")
    return ROOT / "models" / "e5-small"


@pytest.fixture(scope="session")
def hebrew_words() -> Path:
    """models/hebrew-words, prepared if it is not there; skips where it cannot be had, and under CI fails."""
    made = prepare("hebrew-words")
    if made.returncode:
        missing(f"no table of Hebrew words: {made.stderr.strip()}")
    return ROOT / "models" / "hebrew-words"


@pytest.fixture(scope="session")
def preparing() -> Path:
    """The Python that has what requirements-prepare.txt names; skips where it is not, and under CI fails."""
    if not PREPARING.exists():
        missing("no .venv-prepare: make test makes it")
    return PREPARING


@pytest.fixture(scope="session")
def tiny_models(preparing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of published models, tiny and with random weights, one for each kind: see tests/tiny_models.py."""

    def make(folder: Path) -> None:
        command = [str(preparing), "-m", "tests.tiny_models", str(folder / "published")]
        made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr

    return made_once(tmp_path_factory, "tiny", make) / "published"


@pytest.fixture(scope="session")
def prepared(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What gives the prepared folder of a kind of tiny model, made when it is first asked for; copy it to change it."""

    def make(folder: Path, kind: str) -> None:
        made = prepare(str(tiny_models / kind), "--models-dir", str(folder), python=PREPARING)
        assert made.returncode == 0, made.stderr
        (folder / f"{kind}.printed").write_text(made.stdout, encoding="utf-8")

    return lambda kind: made_once(tmp_path_factory, f"prepared-{kind}", partial(make, kind=kind)) / kind


def prepare(*arguments: str, python: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(python or sys.executable), str(ROOT / "scripts" / "prepare_model.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | environ)


def missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
