"""A real server and a real browser for the tests of the pages."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from config import ROOT
from tests.forked import forking

SHOTS = ROOT / "build" / "screenshots"
START_S = 30.0
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def missing(reason: str) -> None:
    """Skip a test for want of something; under CI, where nothing may be wanting, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def chromium(playwright: Playwright) -> Browser:
    """Return the system's Chromium, or the one that playwright installed."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    try:
        return playwright.chromium.launch(executable_path=path, args=ARGS)
    except Error as error:
        missing(f"no Chromium to drive: {error.message.splitlines()[0]}")
        raise


@pytest.fixture(scope="module")
def one_browser() -> Iterator[Browser]:
    """A browser for the tests of a module: `browser = one_browser` there."""
    with sync_playwright() as playwright:
        found = chromium(playwright)
        yield found
        found.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def flask(environ: dict[str, str], *arguments: str) -> None:
    ended = forking().ended(environ, [*arguments])
    assert ended.returncode == 0, ended.stderr


@contextmanager
def served(folder: Path, embedded_by: Path | None = None, rows: int | None = None, **settings: str) -> Iterator[str]:
    """Run the site on (so many rows of) the sample collection as a host does, under gunicorn; give its address."""
    environ = {**os.environ, "INSTANCE_DIR": str(folder), "RATE_LIMIT": "10000/minute", "SEMANTIC_MODEL": "none"}
    environ = {name: value for name, value in environ.items() if name != "DATABASE_URL"} | settings
    flask(environ, "db", "upgrade")
    for name in ("sample-he.jsonl", "sample-en.jsonl"):
        lines = (ROOT / "data" / name).read_text(encoding="utf-8").splitlines(keepends=True)
        copy = folder / name
        copy.write_text("".join(lines[:rows]), encoding="utf-8")
        flask(environ, "import", str(copy), "--collection", "sample")
    if embedded_by:
        model = {"SEMANTIC_MODEL": embedded_by.name, "MODELS_DIR": str(embedded_by.parent)}
        flask(environ | model, "embed")
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:app"]
    environ |= {"PORT": str(port), "HOST": "127.0.0.1"}
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output)
    try:
        wait_for(f"http://127.0.0.1:{port}/livez", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(START_S)


class HeldModel:
    """A prepared model that loads no further than a file of it which is a pipe, until it is let go."""

    FILE = "normalisation.json"

    def __init__(self, model: Path, home: Path) -> None:
        self.folder = home / model.name
        self.folder.mkdir()
        self._held = (model / self.FILE).read_bytes()
        for path in model.iterdir():
            if path.name not in (self.FILE, "manifest.json"):
                (self.folder / path.name).symlink_to(path)
        manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
        del manifest["sizes"][self.FILE], manifest["files"][self.FILE]  # a pipe has no size, and is read once
        (self.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        os.mkfifo(self.folder / self.FILE)

    def let_go(self) -> None:
        """Write what is waited for; in the background, for a pipe that nobody reads would wait for ever."""
        pipe = self.folder / self.FILE
        threading.Thread(target=pipe.write_bytes, args=(self._held,), daemon=True).start()


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            gone = server.poll() is not None or time.monotonic() > until
            if gone:
                raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.05)
