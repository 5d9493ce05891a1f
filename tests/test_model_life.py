"""The model's life on a real server: loaded once however many ask, gone with its worker, given back when unused."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import ROOT
from tests.browser import HeldModel
from tests.servers import Answer, Server, serving
from tests.waiting import until

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux shows what a process holds"),
]
LOADING = "Loading e5-small model"
CLIENTS = 200
WORDS = ("מים", "bread", "garden", "חוזה", "walking")
MOST_LEFT_MB = 25
MOST_GROWN_MB = 5

# Loads and gives back again and again, and prints the anonymous memory in MB after each round.
ROUNDS = """
import json, os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from pathlib import Path
from encoders.lazy import LazyEncoder
from utils.memory import MB, keep_heap_small, process_memory

def load():
    from encoders.onnx_encoder import OnnxEncoder
    return OnnxEncoder(Path(sys.argv[1]))

keep_heap_small()
lazy, left = LazyEncoder(load, "e5-small"), []
for _ in range(100):
    lazy.start()
    assert lazy.wait(60), lazy.error
    lazy.encoder.encode_queries(["נדודי שינה"])
    assert lazy.unload()
    left.append(process_memory(os.getpid()).anonymous / MB)
print(json.dumps(left))
"""


def held(server: Server) -> bool:
    return bool(server.health()["model"]["state"] == "loading")


def query_vector_of(server: Server, text: str) -> bool:
    return bool(server.search(text, "semantic")["semantic"]["state"] == "ready")


def test_two_hundred_clients_at_once_load_it_once_and_every_one_is_answered(
    site_folder: Path, with_e5: dict[str, str]
) -> None:
    def ask(number: int) -> Answer:
        if number % 10 == 0:
            return server.ask("/api/search", q="מים", mode="text")
        return server.ask("/api/search", q=f"{WORDS[number % len(WORDS)]} {number}", mode="semantic")

    with serving(site_folder, **with_e5) as server, ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(ask, range(CLIENTS)))
        assert set(Counter(one.status for one in answers)) <= {200, 503}
        assert all(int(one.headers["Retry-After"]) > 0 for one in answers if one.status == 503)
        by_words = answers[::10]
        assert all(one.status == 200 and one.json["hits"] for one in by_words)
        assert query_vector_of(server, WORDS[0])
        assert server.log.count(LOADING) == 1
        assert re.search(r"Loaded e5-small model in \d+\.\d s, \d+ MB", server.log)


def test_a_worker_killed_while_it_loads_is_followed_by_one_that_serves(
    site_folder: Path, e5_folder: Path, tmp_path: Path
) -> None:
    model = HeldModel(e5_folder, tmp_path)
    with serving(site_folder, SEMANTIC_MODEL="e5-small", MODELS_DIR=str(tmp_path)) as server:
        server.search("מים", "hybrid")
        until(lambda: held(server), "the model's loading")
        (killed,) = server.workers()
        os.kill(killed.pid, signal.SIGKILL)
        until(lambda: [one for one in server.workers() if one.pid != killed.pid], "another worker")
        until(server.answers, "its first answer")
        assert server.search("מים", "text")["hits"]
        assert server.health()["model"]["state"] == "idle"
        model.let_go()
        until(lambda: query_vector_of(server, "נדודי שינה"), "the model")
        assert server.log.count(LOADING) == 2


def test_unused_it_is_given_back_with_its_memory_and_comes_again(site_folder: Path, with_e5: dict[str, str]) -> None:
    with serving(site_folder, **with_e5, MODEL_IDLE_SECONDS="1") as server:
        for text in WORDS:
            server.search(text, "text")
        before = server.anonymous_mb()
        until(lambda: query_vector_of(server, "נדודי שינה"), "the model")
        loaded = server.anonymous_mb()
        until(lambda: "Unloaded e5-small model" in server.log, "the end of its use")
        assert server.health()["model"] == {"name": "e5-small", "state": "idle", "loaded": False}
        assert server.anonymous_mb() < min(before + MOST_LEFT_MB, loaded)
        assert server.search("מים", "text")["hits"]
        until(lambda: query_vector_of(server, "נדודי שינה"), "the model again")
        assert server.log.count(LOADING) == 2


def test_a_hundred_loads_leave_no_more_memory_behind_than_twenty(e5_folder: Path) -> None:
    run = [sys.executable, "-c", ROUNDS, str(e5_folder)]
    ended = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    left = json.loads(ended.stdout)
    assert len(left) == 100
    assert left[99] - left[19] < MOST_GROWN_MB
