"""The site as a host runs it: gunicorn in processes of its own, on a free port of this machine."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psutil

from config import ROOT
from tests.waiting import until
from utils.memory import MB, process_memory

START_S = 40.0
# Where an operator sees more than everybody does.
FIGURES = ("/status", "/metrics", "/api/stats", "/api/monitoring/")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return what a server's process knows: no setting of whoever runs the tests."""
    own = {"INSTANCE_DIR": str(folder), "RATE_LIMIT": "100000/minute", "SEMANTIC_MODEL": "none", "CHECK_SESSIONS": "1"}
    return {"PATH": os.environ["PATH"], **own, **settings}


def gunicorn(*arguments: str, conf: str | Path = "gunicorn.conf.py") -> list[str]:
    return [sys.executable, "-m", "gunicorn", "-c", str(conf), *arguments, "app:app"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    text: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


class Server:
    """A started server; its log is a file, its addresses are asked one connection at a time."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        under: Sequence[str] = (),
        conf: str | Path = "gunicorn.conf.py",
        root: Path = ROOT,
        port: int = 0,
    ) -> None:
        self.port, self.folder = port or free_port(), folder
        self._token = settings.get("ADMIN_TOKEN", "")
        self._log = folder / "server.log"
        environ = environment(folder, PORT=str(self.port), **settings)
        with self._log.open("wb") as output:
            command = [*under, *gunicorn(conf=conf)]
            self.process = subprocess.Popen(command, cwd=root, env=environ, stdout=output, stderr=output)

    def starts(self) -> None:
        until(lambda: self.process.poll() is not None or self.answers(), "the server's first answer", START_S)
        assert self.process.poll() is None, self.log

    def answers(self) -> bool:
        try:
            return self.get("/livez")[0] == 200
        except OSError:
            return False

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def ask(self, path: str, **query: str) -> Answer:
        return self.send("GET", quote(path) + ("?" + urlencode(query) if query else ""))

    def token(self) -> str:
        """Return the admin token: of the settings, or the one that the server made."""
        path = self.folder / "admin_token"
        return self._token or (path.read_text().strip() if path.exists() else "")

    def send(self, method: str, address: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request; one for figures is the operator's, with the admin token, unless it has another."""
        if address.startswith(FIGURES):
            headers = {"Authorization": f"Bearer {self.token()}"} | headers
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method, address, body, {name.replace("_", "-"): value for name, value in headers.items()}
            )
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def get(self, path: str, **query: str) -> tuple[int, str]:
        answer = self.ask(path, **query)
        return answer.status, answer.text

    def search(self, text: str, mode: str) -> dict[str, Any]:
        status, body = self.get("/api/search", q=text, mode=mode)
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/health")[1])
        return found

    def workers(self) -> list[psutil.Process]:
        """Return the processes that serve: those without children among all that were started."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in family if _serves(one)]

    def anonymous_mb(self) -> float:
        """Return what the workers hold that no file backs."""
        found = [process_memory(one.pid) for one in self.workers()]
        return sum(one.anonymous for one in found if one) / MB

    def holds(self, library: str) -> bool:
        """Tell whether a library's files are in the memory of any of the server's processes."""
        family = [psutil.Process(self.process.pid), *self.workers()]
        return any(library in Path(f"/proc/{one.pid}/maps").read_text() for one in family)

    def stop(self) -> int:
        """End the server as a host does, and return how it ended."""
        self.process.terminate()
        return self.process.wait(START_S)


def _serves(process: psutil.Process) -> bool:
    try:
        return "gunicorn" in " ".join(process.cmdline()) and not process.children()
    except psutil.NoSuchProcess:  # it was killed a moment ago
        return False


@contextmanager
def serving(folder: Path, under: Sequence[str] = (), **settings: str) -> Iterator[Server]:
    """Give a server that answers, and stop it afterwards."""
    with answering(Server(folder, settings, under)) as server:
        yield server


@contextmanager
def answering(server: Server) -> Iterator[Server]:
    try:
        server.starts()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()
