"""Near the memory limit, on a real server: words are always found, nothing is killed, and the model comes again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Answer, Server, serving
from tests.shared import limited
from tests.waiting import until
from utils.memory import own_group

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux shows what a process holds"),
]
TOKEN = "a token of the tests"
MODES = ("hybrid", "semantic", "text", "tags")
TEXTS = ("מים בבית", "bread", "נדודי שינה", "garden")
BODY = "הדיירים רשאים לבקש מן הוועד פירוט של הוצאות הניקיון והגינון, והוועד ישיב בתוך שבועיים. " * 3
ROWS = 60
HOLD = "held = b'.' * int(float({mb}) * 2**20); print('held', flush=True); input()"


@contextmanager
def ballast(server: Server, share: float) -> Iterator[None]:
    """Fill the server's control group up to a share of its limit with another process's memory, for a while."""
    seen = server.health()["memory"]
    group = own_group(Path("/"), server.workers()[0].pid)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(mb=share * seen["limit_mb"] - seen["used_mb"])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())),  # noqa: PLW1509 - this test has one thread
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        yield
    finally:
        holder.communicate(b"\n")


def has_meaning(server: Server) -> bool:
    return bool(server.search("נדודי שינה", "semantic")["semantic"]["state"] == "ready")


def guarded(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.ask("/api/monitoring/memory").json
    return found


def kills(report: Path) -> int:
    return int(json.loads(report.read_text(encoding="utf-8"))["oom_kills"])


def test_a_model_that_does_not_fit_is_refused_with_both_figures_and_words_are_found(
    site_folder: Path, with_e5: dict[str, str]
) -> None:
    with serving(site_folder, **with_e5) as server:
        used_mb = server.health()["memory"]["used_mb"]
    with serving(site_folder, **with_e5, MEMORY_LIMIT_MB=str(round(used_mb) + 25)) as server:
        until(lambda: server.search("מים", "hybrid")["semantic"]["state"] == "unavailable", "the refusal")
        assert server.search("מים", "hybrid")["hits"]
        assert server.search("מים", "semantic")["hits"]
        said = rf"the model needs about \d+ MB and \d+ MB are free \(\d+ of {round(used_mb) + 25} MB are used\)"
        assert re.search(said, server.log)
        assert re.search(said, server.get("/status", lang="en")[1])
        page = server.get("/semantic", q="מים", lang="en")[1]
        assert "only keyword results are shown" in page
        assert 'href="/status"' in page
        assert not server.holds("onnxruntime")
        assert server.ask("/api/monitoring/health").json["status"] == "degraded"


def test_a_model_given_back_near_the_limit_comes_again_when_there_is_room(
    site_folder: Path, with_e5: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "memory.json"
    settings = with_e5 | {"MEMORY_PAUSE_SECONDS": "3", "MODEL_RETRY_SECONDS": "1"}
    with serving(site_folder, limited(report, "220M"), **settings) as server:
        until(lambda: has_meaning(server), "the model")
        with ballast(server, 0.95):
            until(lambda: server.health()["model"]["state"] == "unavailable", "the guard")
            found = server.ask("/api/search", q="מים", mode="semantic")
            assert (found.status, found.json["semantic"]["state"]) == (200, "unavailable")
            assert found.json["hits"]
            assert "Low memory: keyword search only" in server.get("/semantic", q="מים", lang="en")[1]
            assert "memory is short: " in server.get("/status", lang="en")[1]
            assert guarded(server)["guard"]["counts"]["caches_dropped"] >= 1
            assert guarded(server)["guard"]["counts"]["model_given_back"] >= 1
            assert server.search("מים", "text")["hits"]
        until(lambda: has_meaning(server), "the model again")
        assert guarded(server)["guard"]["counts"]["text_only_over"] >= 1
        server.stop()
    assert kills(report) == 0


def test_many_searches_where_the_model_hardly_fits_kill_nothing(
    site_folder: Path, with_e5: dict[str, str], tmp_path: Path
) -> None:
    def ask(number: int) -> Answer:
        text = f"{TEXTS[number % len(TEXTS)]} {number} " + "מילים רבות " * (number % 50)
        return server.ask("/api/search", q=text, mode=MODES[number // 2 % 4])

    report = tmp_path / "memory.json"
    settings = with_e5 | {"MEMORY_PAUSE_SECONDS": "1", "MODEL_RETRY_SECONDS": "1"}
    with (
        serving(site_folder, limited(report, "130M"), **settings) as server,
        ThreadPoolExecutor(8) as clients,
    ):
        answers = list(clients.map(ask, range(150)))
        assert {one.status for one in answers} <= {200, 503}
        assert all("Retry-After" in one.headers for one in answers if one.status == 503)
        assert guarded(server)["guard"]["counts"]["caches_dropped"] >= 1
        assert server.search("מים", "text")["hits"]
        server.stop()
    assert kills(report) == 0


def test_an_import_goes_on_embedding_when_memory_is_there_again(
    site_folder: Path, with_e5: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "memory.json"
    settings = with_e5 | {"MEMORY_PAUSE_SECONDS": "1", "MODEL_RETRY_SECONDS": "1", "ADMIN_TOKEN": TOKEN}
    with serving(site_folder, limited(report, "220M"), **settings) as server:
        begun = server.health()["documents_with_embeddings"]
        rows = "".join(json.dumps({"title": f"דירה {n}", "body": f"{n} {BODY}"}) + "\n" for n in range(ROWS))
        address = imported(server, rows)
        until(lambda: server.health()["documents_with_embeddings"] > begun, "the first embeddings")
        with ballast(server, 0.95):
            until(lambda: "The import waits for the model" in server.log, "the guard")
            assert server.search("הדיירים", "text")["hits"]
            assert state(server, address) == "embedding"
        until(lambda: state(server, address) == "done", "the end of the import")
        health = server.health()
        assert health["documents_with_embeddings"] == health["documents"] == begun + ROWS
        server.stop()
    assert kills(report) == 0


def imported(server: Server, rows: str) -> str:
    """Send rows as a file, and return the address of their import."""
    head = 'Content-Disposition: form-data; name="file"; filename="flats.jsonl"\r\n\r\n'
    body = f"--line\r\n{head}{rows}\r\n--line--\r\n".encode()
    kind = "multipart/form-data; boundary=line"
    answer = server.send("POST", "/api/import", body, Content_Type=kind, Authorization=f"Bearer {TOKEN}")
    return str(answer.json["address"])


def state(server: Server, address: str) -> str:
    return str(server.send("GET", address, Authorization=f"Bearer {TOKEN}").json["state"])
