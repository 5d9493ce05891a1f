"""Child processes that a test interrupts: they start with the usual signals, and always end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

END_S = 10.0
# What nohup, or a shell that starts a job in the background, makes its children ignore.
INHERITED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def default_signals() -> None:
    for number in INHERITED:
        signal.signal(number, signal.SIG_DFL)


def popen(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a process that no signal of its parent is ignored in; the caller ends it."""
    return subprocess.Popen(command, preexec_fn=default_signals, **options)  # noqa: PLW1509 - it only sets signals


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process as `popen` does, and end it after the block if it has not ended by then."""
    process = popen(command, **options)
    try:
        yield process
    finally:
        end(process)
        for pipe in filter(None, (process.stdin, process.stdout, process.stderr)):
            pipe.close()


def end(process: subprocess.Popen[Any], within_s: float | None = None) -> None:
    """Terminate a process that has not ended, and kill it if that takes longer than END_S or the time given."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(within_s or END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
