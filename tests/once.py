"""What one run of the tests makes once, for all the processes that it is spread over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fasteners import InterProcessLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first to ask for it fills and the others wait for; nobody may write to it later."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    filled = folder.with_suffix(".filled")
    with InterProcessLock(folder.with_suffix(".lock")):
        if not filled.exists():
            folder.mkdir(exist_ok=True)  # there is one where the first to ask failed
            make(folder)
            filled.touch()
    return folder
