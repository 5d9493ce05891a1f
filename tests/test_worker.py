"""A worker beside web processes: it embeds and ranks what they leave to it; each process sees what another wrote."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from config import Settings
from tests import commands
from tests.conftest import settings_for
from tests.processes import end
from tests.servers import Answer, Server, serving
from tests.waiting import until

SEEN_S = 2.0  # by every process, after the writer was answered
TOKEN = "Bearer a token of the tests"
JOB = {"id": "cook", "title": "טבח", "body": "מסעדה קטנה.", "tags": ["בישול", "אפייה", "ניהול מלאי"]}
PROFILES = [
    {"id": f"p{n}", "title": f"מועמדת {n}", "body": "", "tags": ["בישול", "אפייה"] if n % 2 else ["גינון"]}
    for n in range(6)
]


@pytest.fixture
def with_model(database: str, tmp_path: Path, e5_folder: Path) -> Settings:
    return settings_for(database, tmp_path, semantic_model=e5_folder.name, models_dir=e5_folder.parent)


@contextmanager
def two_sites(settings: Settings) -> Iterator[list[Server]]:
    """Give two servers on one database, which leave what takes long to a worker."""
    given = commands.environment(settings) | {"BACKGROUND": "worker"}
    given = {name: value for name, value in given.items() if name not in ("PATH", "INSTANCE_DIR")}
    with ExitStack() as stack:
        sites = []
        for name in ("one", "two"):
            (settings.instance_dir / name).mkdir()
            sites.append(stack.enter_context(serving(settings.instance_dir / name, **given)))
        yield sites


@contextmanager
def worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Give a worker that is at work: before, a signal ends it as it ends any program that starts."""
    log = settings.instance_dir / f"worker-{uuid4()}.log"
    process = commands.start(settings, "worker", log=log)
    try:
        until(lambda: "The worker waits for" in log.read_text(encoding="utf-8"), "the worker's beginning")
        yield process
    finally:
        end(process, 30)
        assert process.returncode == 0


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a way of its own with a signal: the worker's is there before it works."""
    said = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(said["SigCgt"], 16) >> (number - 1) & 1)


def post(site: Server, path: str, **fields: object) -> dict[str, object]:
    headers = {"Content-Type": "application/json", "Authorization": TOKEN}
    answer = site.send("POST", path, json.dumps(fields).encode(), **headers)
    assert answer.status in (200, 201, 202), answer.text
    return answer.json


def filled(site: Server) -> None:
    post(site, "/api/documents", **JOB, collection="jobs")
    for profile in PROFILES:
        post(site, "/api/documents", **profile, collection="profiles")


def found(site: Server, text: str, mode: str) -> set[str]:
    return {hit["id"] for hit in site.search(text, mode)["hits"]}


def is_meant(site: Server) -> bool:
    return "cook" in found(site, "מקום שאוכלים בו", "semantic")


def test_what_one_process_writes_the_other_finds(with_model: Settings) -> None:
    with two_sites(with_model) as (one, two):
        filled(one)
        until(lambda: "cook" in found(two, "מסעדה", "text"), "the other's words", SEEN_S)
        gone = one.send("DELETE", "/api/documents/cook?collection=jobs", Authorization=TOKEN)
        assert gone.status == 204
        until(lambda: "cook" not in found(two, "מסעדה", "text"), "the other's deleting", SEEN_S)


def test_a_worker_embeds_for_all(with_model: Settings) -> None:
    with two_sites(with_model) as (one, two):
        filled(one)
        assert one.health()["documents_with_embeddings"] == 0
        with worker(with_model):
            until(lambda: two.health()["documents_with_embeddings"] == 7, "the worker's embeddings")
        for site in (one, two):
            until(partial(is_meant, site), "its meaning")


def test_a_worker_ranks_what_the_sites_leave_to_it(with_model: Settings) -> None:
    with two_sites(with_model) as (one, two):
        filled(one)
        path = str(post(one, "/api/screenings", job_id="cook")["address"])

        def ranked() -> Answer:
            return two.send("GET", path, Authorization=TOKEN)

        def state() -> str:
            return str(ranked().json["state"])

        assert state() == "waiting"
        with worker(with_model):
            until(lambda: state() == "done", "the screening's end")
        assert {row["id"] for row in ranked().json["results"][:3]} == {"p1", "p3", "p5"}


def test_two_workers_share_the_work_and_stop_when_told(with_model: Settings) -> None:
    with two_sites(with_model) as (one, _):
        filled(one)
        with worker(with_model), worker(with_model) as second:
            until(lambda: one.health()["documents_with_embeddings"] == 7, "the workers' embeddings")
            until(lambda: catches(second.pid, signal.SIGTERM), "the second one's readiness to stop")
            second.send_signal(signal.SIGINT)
            assert second.wait(30) == 0
