"""Requests at an even pace, reads and writes of every kind, and what became of each."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.servers import Server

TOKEN = "a token of the benchmark"  # noqa: S105 - of a server that lives some minutes
SECRETS = {"SECRET_KEY": "a secret of the benchmark", "ADMIN_TOKEN": TOKEN}
A_SECOND, CLIENTS = 20, 24
QUIET_S = 2.0  # so long all must be well, before a fault and after it
BACK_S = 30.0
READ = ("/text", "/semantic", "/tags", "/")
GOOD = (200, 201)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: when it was sent and answered, and the status; 0 where no answer came."""

    began: float
    ended: float
    status: int


@dataclass(slots=True)
class Load:
    """A quarter writes, the rest pages by words, by meaning, by tags and by all; the writes that were acknowledged."""

    site: Server
    ended: list[Asked] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as clients:
            number = 0
            while not self.over.wait(1 / A_SECOND):
                number += 1
                clients.submit(self.ask, number)

    def ask(self, number: int) -> None:
        began = time.monotonic()
        try:
            status = self.write(f"{number}") if number % 4 == 0 else self.read(number)
        except (OSError, HTTPException):
            status = 0
        self.ended.append(Asked(began, time.monotonic(), status))

    def write(self, own_id: str) -> int:
        body = json.dumps({"title": f"מסמך {own_id}", "body": "גוף קצר על מים ולחם.", "tags": ["עומס"]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        status = self.site.send("PUT", f"/api/documents/{own_id}?collection=load", body, **headers).status
        if status in GOOD:
            self.written.add(own_id)
        return status

    def read(self, number: int) -> int:
        return self.site.ask(READ[number % len(READ)], q=f"מים {number % 50}").status

    def since(self, moment: float) -> list[Asked]:
        """Return what ended after a moment."""
        return [one for one in list(self.ended) if one.ended >= moment]

    def well_since(self, undone: float) -> float:
        """Return the moment of the first answer after which QUIET_S passed without a failure."""
        until = undone + BACK_S
        while time.monotonic() < until:
            ended = self.since(undone)
            failed = max((one.ended for one in ended if one.status not in GOOD), default=undone)
            since = min((one.ended for one in ended if one.status in GOOD and one.ended >= failed), default=until)
            if time.monotonic() - since >= QUIET_S and len(self.since(since)) > A_SECOND:
                return since
            time.sleep(0.1)
        return until


@contextmanager
def under_load(site: Server) -> Iterator[Load]:
    load = Load(site)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.over.set()
        thread.join()


def tally(asked: Sequence[Asked]) -> dict[int, int]:
    statuses = [one.status for one in asked]
    return {status: statuses.count(status) for status in sorted(set(statuses))}
