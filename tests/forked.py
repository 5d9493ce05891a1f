"""Flask commands in processes of their own, forked from one that has imported the site: imports take longest of all.

What a command does is the same: its own environment, arguments, output and end. What it imports, how large it is and
how it is killed needs a process of its own from the beginning: tests.commands.start, command and peak_rss_mb.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from config import ROOT

END_S = 10.0


class Forking:
    """The process that forks; asked for one command at a time."""

    def __init__(self) -> None:
        environ = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-m", "tests.forked"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._lock = threading.Lock()

    def ended(self, environ: Mapping[str, str], arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        assert self._process.stdin
        assert self._process.stdout
        with tempfile.TemporaryDirectory() as folder, self._lock:
            said = [Path(folder, name) for name in ("stdout", "stderr")]
            asked = {"environ": dict(environ), "arguments": arguments, "said": [str(path) for path in said]}
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            status = int(self._process.stdout.readline())
            return subprocess.CompletedProcess(arguments, status, *(path.read_text("utf-8") for path in said))

    def stop(self) -> None:
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()
            self._process.wait(END_S)


@cache
def forking() -> Forking:
    """Return the process that forks, begun when it is first asked for."""
    begun = Forking()
    atexit.register(begun.stop)
    return begun


def serve() -> None:
    """Fork for each command that is asked for, and tell how it ended."""
    import flask_migrate  # noqa: F401 - imported once for all

    import app  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if not child:
            run(**json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def run(environ: dict[str, str], arguments: list[str], said: list[str]) -> None:
    """Be the flask command; raises SystemExit at its end."""
    from flask.cli import main

    os.environ.clear()
    os.environ.update(environ)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(said, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.argv = ["flask", "--app", "app", *arguments]
    main()


if __name__ == "__main__":
    serve()
