"""A worker that grew for no good reason is replaced, between requests; one with a model, or briefly large, is not."""

from __future__ import annotations

from pathlib import Path

from config import ROOT
from operations.guard import RECYCLE_CHECKS, RECYCLE_EVERY_S, Recycling
from tests.conftest import Started
from tests.servers import Server
from tests.waiting import until

# The server's own configuration, which looks all the time, and holds any worker for too large.
IMPATIENT = f"""
exec(open({str(ROOT / "gunicorn.conf.py")!r}).read())
began = post_worker_init
def post_worker_init(worker):
    from operations import guard
    guard.EVERY_S = guard.TRIM_EVERY_S = guard.RECYCLE_EVERY_S = 0.05
    began(worker)
"""


class Worker:
    """A worker as its recycling sees it, and a clock that moves by looks."""

    def __init__(self) -> None:
        self.held_mb, self.has_model, self.ends, self.now = 100.0, False, 0, 0.0
        self.recycling = Recycling(lambda: self.held_mb, lambda: self.has_model, lambda: 300.0, self.end, self.clock)
        self.recycling.is_on = True

    def end(self) -> None:
        self.ends += 1

    def clock(self) -> float:
        return self.now

    def look(self, times: int = RECYCLE_CHECKS) -> int:
        for _ in range(times):
            self.now += RECYCLE_EVERY_S
            self.recycling.check()
        return self.ends


def test_a_grown_worker_ends_once() -> None:
    worker = Worker()
    worker.held_mb = 301
    assert worker.look(RECYCLE_CHECKS - 1) == 0
    assert worker.look(1) == 1
    assert worker.look() == 1


def test_a_worker_that_is_large_for_a_moment_stays() -> None:
    worker = Worker()
    for held in (400.0, 100.0) * RECYCLE_CHECKS:
        worker.held_mb = held
        assert worker.look(RECYCLE_CHECKS - 1) == 0


def test_a_model_explains_what_is_held() -> None:
    worker = Worker()
    worker.held_mb, worker.has_model = 400, True
    assert worker.look() == 0
    worker.has_model = False
    assert worker.look() == 1


def test_nothing_ends_where_nothing_starts_another() -> None:
    worker = Worker()
    worker.held_mb, worker.recycling.is_on = 400, False
    assert worker.look() == 0


def test_gunicorn_starts_another_and_every_request_is_answered(started: Started, tmp_path: Path) -> None:
    conf = tmp_path / "impatient.conf.py"
    conf.write_text(IMPATIENT, encoding="utf-8")
    with started.maker("sqlite").fresh(tmp_path):
        server = Server(tmp_path, {"WORKER_RECYCLE_PERCENT": "1"}, conf=conf)
        try:
            server.starts()
            answers = []

            def replaced() -> bool:
                answers.append(server.get("/text", q="מים")[0])
                return server.log.count("it is replaced") > 1

            until(replaced, "a worker in the place of the second")
            assert set(answers) == {200}
        finally:
            assert server.stop() == 0
