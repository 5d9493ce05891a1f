"""scripts/check_memory.py against real servers: what it finds, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config import ROOT
from tests.memory_checks import SCRIPT, check, command, environ, report
from tests.other_servers import GOOD, answering, telling
from tests.processes import child
from tests.servers import Server, serving
from tests.waiting import until

# Everything is imported before: nobody may not read the interpreter's own folder where that is root's.
AS_NOBODY = """
import encodings.idna, os, sys
sys.path.insert(0, os.path.dirname(os.path.dirname(sys.argv[1])))
import scripts.check_memory
os.setgroups([]), os.setgid(65534), os.setuid(65534)
sys.argv = sys.argv[1:]
sys.exit(scripts.check_memory.main())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one worker; only looked at."""
    with serving(tmp_path_factory.mktemp("looked-at")) as started:
        yield started


@pytest.fixture
def instance(server: Server) -> Path:
    return server.folder


def test_it_finds_the_server_by_its_pid_file_and_shows_every_process(server: Server, instance: Path) -> None:
    ended = check(instance)
    assert ended.returncode == 0
    assert f"server {server.process.pid} at http://localhost:{server.port}" in ended.stdout
    assert "well" in ended.stdout
    found = report(instance)
    assert [one["role"] for one in found["processes"]] == ["master", "worker"]
    assert {one["pid"] for one in found["processes"]} == {server.process.pid, *(w.pid for w in server.workers())}
    assert all(0 < one["uss_mb"] <= one["pss_mb"] <= one["rss_mb"] for one in found["processes"])
    assert found["unseen"] == []


def test_it_says_what_the_app_says_of_itself(server: Server, instance: Path) -> None:
    found, own = report(instance), json.loads(server.get("/api/monitoring/memory")[1])
    assert found["model"] == own["model"]
    assert set(found["parts"]) == {"application", "model", "index", "caches"}
    assert found["used_mb"] == pytest.approx(own["used_mb"], rel=0.2)
    assert found["limit_mb"] == own["limit_mb"]


@pytest.mark.parametrize(("share", "code", "level"), [(0.5, 0, "fine"), (0.87, 1, "high"), (1.2, 2, "critical")])
def test_it_ends_as_near_to_the_limit_as_the_site_is(instance: Path, share: float, code: int, level: str) -> None:
    limit = str(report(instance)["used_mb"] / share)
    ended = check(instance, "--json", "--limit", limit)
    assert ended.returncode == code
    found = json.loads(ended.stdout)
    assert found["level"] == level
    assert bool(found["advice"]) == (level != "fine")
    assert check(instance, "--limit", limit).returncode == code


def test_a_site_elsewhere_is_asked_by_its_address(server: Server, tmp_path: Path) -> None:
    ended = check(tmp_path, "--url", f"127.0.0.1:{server.port}", "--json")
    assert ended.returncode == 0
    told = json.loads(ended.stdout)
    assert told["processes"] == []
    assert told["used_mb"] > 20
    assert set(told["parts"]) == {"application", "model", "index", "caches"}
    assert "set METRICS_TOKEN" in told["unseen"][0]
    assert check(tmp_path, "--url", f"127.0.0.1:{server.port}").returncode == 0
    known = environ(tmp_path, METRICS_TOKEN=server.token())
    asked = command("--url", f"127.0.0.1:{server.port}", "--json")
    ended = subprocess.run(asked, env=known, capture_output=True, text=True, check=True)
    assert [one["role"] for one in json.loads(ended.stdout)["processes"]] == ["master", "worker"]
    assert check(tmp_path, "--url", f"http://127.0.0.1:{server.port}/", "--limit", "10").returncode == 2


def test_any_of_its_processes_leads_to_all(server: Server, tmp_path: Path) -> None:
    worker = server.workers()[0].pid
    found = report(tmp_path, "--pid", str(worker))
    assert [one["pid"] for one in found["processes"]] == [server.process.pid, worker]
    assert found["model"]["name"] == "none"


def test_without_a_pid_file_it_looks_at_commands(server: Server, instance: Path) -> None:
    path = instance / "gunicorn.pid"
    kept = path.read_text()
    path.unlink()
    try:
        found = report(instance)
        assert found["processes"][0]["pid"] == server.process.pid
        assert found["model"]["name"] == "none"
    finally:
        path.write_text(kept)


@pytest.mark.parametrize("text", ["{dead}\nhttp://localhost:1\n", "{mine}\n", "", "no number", "9" * 30, "-1"])
def test_a_dead_pid_file_is_not_believed(tmp_path: Path, text: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (tmp_path / "gunicorn.pid").write_text(text.format(dead=gone.pid, mine=os.getpid()))
    ended = check(tmp_path)
    assert ended.returncode == 3
    assert "is left over" in ended.stderr


def test_a_server_behind_a_dead_pid_file_is_found_and_the_file_is_named(server: Server, instance: Path) -> None:
    path = instance / "gunicorn.pid"
    kept = path.read_text()
    path.write_text(f"{os.getpid()}\n")
    try:
        found = report(instance)
    finally:
        path.write_text(kept)
    assert found["processes"][0]["pid"] == server.process.pid
    assert "is left over" in found["unseen"][0]


@pytest.mark.parametrize("pid", ["{mine}", "4194400", "9" * 20])
def test_a_wrong_pid_is_no_running_site(tmp_path: Path, pid: str) -> None:
    ended = check(tmp_path, "--pid", pid.format(mine=os.getpid()))
    assert ended.returncode == 3
    assert "No running site" in ended.stderr
    assert check(tmp_path, "--json", "--pid", pid.format(mine=os.getpid())).returncode == 3


@pytest.mark.parametrize(
    "wrong",
    [["--pid", "x"], ["--pid", "0"], ["--limit", "0"], ["--watch", "-1"], ["--pid", "1", "--url", "a"], ["--x"]],
)
def test_a_misunderstanding_is_not_taken_for_a_want_of_memory(tmp_path: Path, wrong: list[str]) -> None:
    assert check(tmp_path, *wrong).returncode == 64


def test_nobody_sees_what_nobody_may_see_and_is_told_what_lacks(server: Server, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    run = [sys.executable, "-c", AS_NOBODY, str(SCRIPT), "--json", "--pid", str(server.process.pid)]
    ended = subprocess.run(run, cwd="/", env=environ(tmp_path), capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert ended.returncode == 0
    found = json.loads(ended.stdout)
    assert [one["pss_mb"] for one in found["processes"]] == [None, None]
    assert all(one["rss_mb"] > 10 for one in found["processes"])
    assert any("pss, uss, anonymous" in one for one in found["unseen"])
    assert any("its address is unknown" in one for one in found["unseen"])


def test_nobody_finds_the_server_although_its_folder_is_closed(server: Server, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    tmp_path.chmod(0o700)
    run = [sys.executable, "-c", AS_NOBODY, str(SCRIPT)]
    ended = subprocess.run(run, cwd="/", env=environ(tmp_path), capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1, 2), ended.stderr
    assert str(server.process.pid) in ended.stdout  # itself, or among those to choose from
    assert "may not be read" in ended.stdout


def test_a_watch_into_a_pipe_is_plain_lines_and_ends_at_ctrl_c(server: Server, instance: Path) -> None:
    run = command("--watch", "0.05")
    with child(run, env=environ(instance), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        lines = [one.stdout.readline() for _ in range(3)]
        one.send_signal(signal.SIGINT)
        rest, errors = one.communicate(timeout=30)
    assert one.returncode == 0
    assert errors == ""
    assert all(re.fullmatch(r"\S+  [\d.]+ MB of 512 MB  [\d.]+%  fine  none: off\n", line) for line in lines)
    assert "\x1b" not in "".join(lines) + rest


def test_a_watch_that_nobody_reads_any_more_ends(server: Server, instance: Path) -> None:
    run = command("--watch", "0.05", "--json")
    with child(run, env=environ(instance), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        assert one.stderr is not None
        assert json.loads(one.stdout.readline())["level"] == "fine"
        one.stdout.close()
        assert one.wait(30) == 0
        assert one.stderr.read() == ""


def test_a_watch_in_a_terminal_draws_anew(server: Server, instance: Path) -> None:
    terminal, side = pty.openpty()
    with child(command("--watch", "0.05"), env=environ(instance), stdout=side, stderr=side) as one:
        os.close(side)
        seen = b""
        while seen.count(b"Verdict") < 2:
            seen += os.read(terminal, 65_536)
        one.send_signal(signal.SIGINT)
        until(lambda: one.poll() is not None, "the end of the watch")
    os.close(terminal)
    assert one.returncode == 0
    assert seen.count(b"\x1b[2J") >= 2
    assert b"Ctrl-C ends it" in seen


def test_a_watch_outlives_the_server_and_says_that_it_is_gone(tmp_path: Path) -> None:
    run = command("--watch", "0.1", "--json")
    with (
        serving(tmp_path) as server,
        child(run, env=environ(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as one,
    ):
        assert one.stdout is not None
        assert "used_mb" in json.loads(one.stdout.readline())
        server.stop()
        gone = 0
        while gone < 2:  # the status is that of the last look that was finished
            gone += "error" in json.loads(one.stdout.readline())
        one.send_signal(signal.SIGINT)
        one.communicate(timeout=30)
    assert one.returncode == 3


def test_all_workers_are_shown_and_each_keeps_its_own_history(tmp_path: Path) -> None:
    with serving(tmp_path, GUNICORN_WORKERS="2") as server:
        until(lambda: len(server.workers()) == 2, "two workers")
        found = report(tmp_path)
        assert [one["role"] for one in found["processes"]] == ["master", "worker", "worker"]

        def told() -> dict[int, int]:
            answers = [json.loads(server.get("/api/monitoring/memory")[1]) for _ in range(8)]
            return {one["worker"]: one["history"]["kept"] for one in answers}

        until(lambda: len(found := told()) == 2 and all(found.values()), "a sample in each worker")


def test_the_pid_file_goes_with_its_server_and_an_old_one_refuses_no_start(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.pid"
    path.write_text(f"{os.getpid()}\n")  # alive, and not a server: gunicorn's own pid file would refuse this start
    with serving(tmp_path) as server:
        assert path.read_text() == f"{server.process.pid}\nhttp://localhost:{server.port}\n"
    assert not path.exists()


def test_a_server_leaves_anothers_pid_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.pid"
    with serving(tmp_path):
        path.write_text("1\n")
    assert path.read_text() == "1\n"


def test_it_needs_neither_the_settings_nor_the_app(instance: Path) -> None:
    seen = "import runpy, sys; sys.argv = ['check_memory']\ntry: runpy.run_path(sys.argv0, run_name='__main__')"
    seen = seen.replace("sys.argv0", repr(str(SCRIPT))) + "\nfinally: print(*sys.modules, file=sys.stderr)"
    given = environ(instance, DEFAULT_LOCALE="no such language", DATABASE_URL="nonsense")
    ended = subprocess.run([sys.executable, "-c", seen], env=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert not {"config", "app", "flask", "sqlalchemy", "numpy"} & set(ended.stderr.split())


def test_another_server_at_the_address_is_not_taken_for_this_one(server: Server, instance: Path) -> None:
    path = instance / "gunicorn.pid"
    kept = path.read_text()
    with answering(telling(json.dumps(GOOD).encode())) as address:
        path.write_text(f"{server.process.pid}\n{address}\n")
        try:
            found = report(instance)
        finally:
            path.write_text(kept)
    assert found["model"] is None
    assert "answered by another server" in found["unseen"][0]
    assert found["used_mb"] > 20
    assert psutil.pid_exists(server.process.pid)


def test_a_python_without_psutil_hands_over_to_the_sites_own(instance: Path, tmp_path: Path) -> None:
    bare = [sys.executable, "-S", str(SCRIPT), "--json"]
    marked = environ(instance, MATMON_OWN_PYTHON="1")
    ended = subprocess.run(bare, cwd=tmp_path, env=marked, capture_output=True, text=True, check=False)
    assert ended.returncode == 69
    assert "pip install -r requirements.txt" in ended.stderr
    if not (ROOT / ".venv" / "bin" / "python").exists():
        return
    ended = subprocess.run(bare, cwd=tmp_path, env=environ(instance), capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["level"] == "fine"
