"""`flask serve-embeddings` as an operator runs it: processes of its own, on a free port of this machine."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from config import ROOT
from tests.processes import end, popen
from tests.servers import START_S, environment, free_port
from tests.waiting import until


class ModelHost:
    """A started model host; its log is a file."""

    def __init__(self, folder: Path, options: Sequence[str], settings: dict[str, str], port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "model-host.log"
        arguments = ["serve-embeddings", "--port", str(self.port), *options]
        with self._log.open("wb") as output:
            self.process: subprocess.Popen[bytes] = popen(
                [sys.executable, "-m", "flask", "--app", "app", *arguments], cwd=ROOT,
                env=environment(folder, **settings), stdout=output, stderr=output,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def starts(self) -> None:
        until(lambda: self.process.poll() is not None or self.answers(), "the model host's first answer", START_S)
        assert self.process.poll() is None, self.log

    def answers(self) -> bool:
        try:
            return self.get("/health")[0] == 200
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return self._asked("GET", path, None, headers)

    def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        return self._asked("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})

    def _asked(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def state(self) -> str:
        found: str = self.get("/health")[1]["state"]
        return found

    def family(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it as a host does, or a terminal, and return how it ended."""
        self.process.send_signal(how)
        return self.process.wait(START_S)


@contextmanager
def model_host(folder: Path, *options: str, **settings: str) -> Iterator[ModelHost]:
    """Give a model host that answers, and stop it afterwards."""
    host = ModelHost(folder, options, settings)
    try:
        host.starts()
        yield host
    finally:
        end(host.process)
