"""The prepared models that the tests of the encoder run on, and the environment that prepares them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

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
def preparing() -> Path:
    """The Python that has what requirements-prepare.txt names; skips where it is not, and under CI fails."""
    if not PREPARING.exists():
        missing("no .venv-prepare: make test makes it")
    return PREPARING


@pytest.fixture(scope="session")
def tiny_models(preparing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of published models, tiny and with random weights, one for each kind: see tests/tiny_models.py."""
    folder = tmp_path_factory.mktemp("tiny") / "published"
    made = subprocess.run(
        [preparing, "-m", "tests.tiny_models", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def prepared(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What gives the prepared folder of a kind of tiny model, made when it is first asked for."""
    models = tmp_path_factory.mktemp("prepared")

    def folder(kind: str) -> Path:
        if not (models / kind).exists():
            made = prepare(str(tiny_models / kind), "--models-dir", str(models), python=PREPARING)
            assert made.returncode == 0, made.stderr
            (models / f"{kind}.printed").write_text(made.stdout, encoding="utf-8")
        return models / kind

    return folder


def prepare(*arguments: str, python: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(python or sys.executable), str(ROOT / "scripts" / "prepare_model.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=os.environ | environ)


def missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
