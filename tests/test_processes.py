"""Children of the tests end, whatever signals they inherit."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import processes
from tests.processes import INHERITED, child

SLEEP = "import time; print('started', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@contextmanager
def ignored(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", INHERITED)
def test_a_child_hears_a_signal_that_its_parent_ignores(number: signal.Signals) -> None:
    command = [sys.executable, "-c", SLEEP]
    with ignored(number), child(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.send_signal(number)
        assert process.wait(30) == -number


def test_a_child_ends_with_its_block_even_if_the_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), child([sys.executable, "-c", SLEEP]) as process:
        1 / 0  # noqa: B018
    assert process.returncode == -signal.SIGTERM


def test_a_child_that_ignores_its_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_S", 0.2)
    with child([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
    assert process.returncode == -signal.SIGKILL
