"""The real server: what it loads and when, who waits for whom, how it stops, and what it takes of 512 MB."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from config import ROOT
from tests.browser import HeldModel
from tests.servers import Server, environment, gunicorn, serving
from tests.shared import limited
from tests.visits import BEARER, TOKEN
from tests.waiting import until

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux shows what a process holds"),
]
LOADING = "Loading e5-small model"
MODES = ("hybrid", "text", "tags", "semantic")
TEXTS = ("מים בבית", "שינה", "ארנונה", "מדריך", "gold coins", "bread", "חוזה שכירות", "garden", "קיר לח", "walking")
MOST_ANONYMOUS_MB = 220


def held(server: Server) -> bool:
    return server.health()["model"]["state"] == "loading"


def test_the_model_is_loaded_at_the_first_wish_for_meaning_and_not_before(
    site_folder: Path, with_e5: dict[str, str]
) -> None:
    with serving(site_folder, **with_e5) as server:
        for path in ("/", "/tags", "/health", "/status", "/import", "/api/stats", "/api/documents/he-awake-at-night"):
            assert server.get(path)[0] == 200
        assert server.search("מים", "text")["hits"]
        assert server.get("/text", q="מים", tag="בית")[0] == 200
        assert not server.holds("onnxruntime")
        assert LOADING not in server.log
        assert f"Matmon is at http://localhost:{server.port}" in server.log
        found = server.search("נדודי שינה", "semantic")
        assert found["hits"]
        assert found["semantic"] == {"state": "ready", "model": "e5-small"}
        assert server.holds("onnxruntime")
        assert server.health()["model"] == {"name": "e5-small", "state": "ready", "loaded": True}


def test_eight_clients_at_once_load_it_once_and_all_are_answered(site_folder: Path, with_e5: dict[str, str]) -> None:
    with serving(site_folder, **with_e5) as server, ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda text: server.search(text, "semantic"), TEXTS[:8]))
        states = [one["semantic"]["state"] for one in answers]
        assert set(states) <= {"ready", "loading"}
        assert all(one["hits"] for one in answers if one["semantic"]["state"] == "ready")
        assert all(server.search(text, "semantic")["semantic"]["state"] == "ready" for text in TEXTS[:8])
        assert server.log.count(LOADING) == 1


def test_words_are_answered_while_the_model_loads(site_folder: Path, e5_folder: Path, tmp_path: Path) -> None:
    model = HeldModel(e5_folder, tmp_path)
    settings = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(tmp_path)}
    with serving(site_folder, **settings) as server, ThreadPoolExecutor(2) as clients:
        waiting = [clients.submit(server.search, text, "semantic") for text in TEXTS[:2]]
        until(lambda: held(server), "the model's loading")
        for mode in ("text", "hybrid"):
            found = server.search("מים", mode)
            assert found["hits"]
            assert found["semantic"]["state"] == "loading"
        assert server.get("/livez")[0] == 200
        assert not [one for one in waiting if one.done()]
        model.let_go()
        assert [one.result()["semantic"]["state"] for one in waiting] == ["ready"] * 2
        assert server.search("מים", "hybrid")["hits"][0]["why"]["semantic"] is not None


def test_a_stop_lets_a_request_end(site_folder: Path, e5_folder: Path, tmp_path: Path) -> None:
    model = HeldModel(e5_folder, tmp_path)
    settings = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(tmp_path)}
    with serving(site_folder, **settings) as server, ThreadPoolExecutor(1) as clients:
        waiting = clients.submit(server.search, "נדודי שינה", "semantic")
        until(lambda: held(server), "the model's loading")
        server.process.terminate()
        until(lambda: "Handling signal: term" in server.log, "the signal's arrival")
        assert not waiting.done()
        model.let_go()
        assert waiting.result()["hits"]
        assert server.process.wait(30) == 0


def test_sigterm_with_the_model_at_work_everywhere_ends_every_process_with_0(
    site_folder: Path, with_e5: dict[str, str]
) -> None:
    """Searches wait for the model, documents are embedded, and nobody aborts: the log would name the signal."""
    settings = {**with_e5, "ADMIN_TOKEN": TOKEN, "SECRET_KEY": TOKEN}

    def search(number: int) -> None:
        with suppress(OSError):
            for word in range(1_000):
                server.search(f"{TEXTS[0]} {number} {word}", "semantic")

    with serving(site_folder, **settings) as server, ThreadPoolExecutor(6) as clients:
        body = json.dumps({"title": "long", "body": TEXTS[0] * 3_000}).encode()
        for number in range(3):
            server.send("PUT", f"/api/documents/{number}", body, Content_Type="application/json", **BEARER)
        for number in range(6):
            clients.submit(search, number)
        until(lambda: server.health()["model_loaded"], "the model")
        server.process.terminate()
        assert server.process.wait(30) == 0
    assert "SIG" not in server.log.replace("SIGTERM", "")
    assert "Traceback" not in server.log


def test_a_warm_model_is_loaded_before_anyone_asks(site_folder: Path, with_e5: dict[str, str]) -> None:
    with serving(site_folder, **with_e5, MODEL_LOADING="warm") as server:
        until(lambda: server.health()["model_loaded"], "the model")
        assert server.log.count(LOADING) == 1


def test_workers_share_the_port_and_each_answers_after_the_fork(site_folder: Path) -> None:
    with serving(site_folder, GUNICORN_WORKERS="2", GUNICORN_THREADS="2") as server, ThreadPoolExecutor(8) as clients:
        until(lambda: len(server.workers()) == 2, "two workers")
        answers = list(clients.map(lambda text: server.search(text, "text"), TEXTS * 4))
        assert any(one["hits"] for one in answers)
        assert server.get("/health")[0] == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"workers": "1", "threads": "4", "bind": "127.0.0.1:5000", "preload_app": "False"}),
        ({"GUNICORN_THREADS": "7", "PORT": "8123"}, {"threads": "7", "bind": "127.0.0.1:8123"}),
        ({"GUNICORN_WORKERS": "3"}, {"workers": "3", "preload_app": "True"}),
        ({"WEB_CONCURRENCY": "2"}, {"workers": "2"}),
        ({"WEB_CONCURRENCY": "2", "DYNO": "web.1"}, {"workers": "1", "bind": "0.0.0.0:5000"}),
        ({"RENDER": "true", "PORT": "10000"}, {"bind": "0.0.0.0:10000"}),
        ({"HOST": "192.0.2.7"}, {"bind": "192.0.2.7:5000"}),
    ],
)
def test_the_environment_sets_the_server(tmp_path: Path, given: dict[str, str], expected: dict[str, str]) -> None:
    command = gunicorn("--print-config")
    environ = environment(tmp_path, **given)
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    shown = dict(re.findall(r"^(\w+)\s+= (.*)$", ended.stdout, re.MULTILINE))
    assert {name: shown[name].strip("[]'") for name in expected} == expected


def test_a_hundred_searches_of_every_kind_by_eight_clients_fit_into_512_mb(
    site_folder: Path, with_e5: dict[str, str]
) -> None:
    report = site_folder / "memory.json"
    with serving(site_folder, limited(report, "512M"), **with_e5) as server, ThreadPoolExecutor(8) as clients:
        asked = [(TEXTS[number % len(TEXTS)], MODES[number // 2 % 4]) for number in range(100)]
        answers = list(clients.map(lambda one: server.search(*one), asked))
        assert len(answers) == 100
        assert server.get("/status")[0] == 200
        assert server.log.count(LOADING) == 1
        memory = server.health()["memory"]
        assert memory["limit_mb"] == 512
        assert 0 < memory["share"] < 0.8
        server.stop()
    used = json.loads(report.read_text(encoding="utf-8"))
    assert used["oom_kills"] == 0
    assert 0 < used["peak_anonymous_mb"] < MOST_ANONYMOUS_MB
