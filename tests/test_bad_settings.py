"""A setting that cannot be used ends a command and a server with the one line that says so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from config import ROOT
from tests.commands import command
from tests.conftest import Started
from tests.servers import Server, answering, environment

SHORT = "SECRET_KEY has 5 characters: give it 16 or more, chosen at random"


@pytest.mark.parametrize("arguments", [("db", "upgrade"), ("search", "x"), ("routes",), ("--help",), ("nonsense",)])
def test_a_command_ends_with_the_one_line_and_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    environ = environment(tmp_path, SECRET_KEY="short")
    ended = subprocess.run(command(*arguments), cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{SHORT}\n")


def test_an_old_name_works_and_leaves_a_line_in_the_log(tmp_path: Path) -> None:
    environ = environment(tmp_path, MEMORY_REST_SECONDS="5")
    ended = subprocess.run(command("routes"), cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    line = "MEMORY_REST_SECONDS is now called MEMORY_PAUSE_SECONDS: the old name goes with the next release"
    assert ended.stderr.count(line) == 1
    environ = environment(tmp_path, MEMORY_REST_SECONDS="long")
    ended = subprocess.run(command("routes"), cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "MEMORY_REST_SECONDS='long': it must be a whole number from 1 to 86400\n"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("setting", "given", "line"),
    [
        ("SECRET_KEY", "short", SHORT),
        ("SEMANTIC_MODEL", "e6-small", "SEMANTIC_MODEL=e6-small: "),
        ("GUNICORN_THREADS", "many", "GUNICORN_THREADS='many': it must be a whole number from 1 to 256"),
    ],
)
def test_a_server_ends_with_the_one_line_and_2_before_it_listens(
    tmp_path: Path, workers: str, setting: str, given: str, line: str
) -> None:
    server = Server(tmp_path, {"GUNICORN_WORKERS": workers, setting: given})
    assert server.process.wait(40) == 2
    assert server.log.splitlines()[-1].startswith(line)
    assert server.log.count(setting) == 1
    for other in ("Traceback", "Listening at", "Booting worker", "Matmon is at"):
        assert other not in server.log


def test_a_server_whose_next_worker_cannot_begin_ends(started: Started, tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "mine").mkdir(parents=True)
    with started.maker("sqlite").fresh(tmp_path) as url:
        given = {"DATABASE_URL": url, "SEMANTIC_MODEL": "mine", "MODELS_DIR": str(models)}
        with answering(Server(tmp_path, given)) as server:
            (models / "mine").rmdir()
            (worker,) = server.workers()
            worker.kill()
            assert server.process.wait(40) == 3
            assert server.log.count(f"SEMANTIC_MODEL=mine: {models}/mine is not there") == 1
            assert server.log.count("Booting worker") == 2
            assert "Traceback" not in server.log
