"""SIGTERM in the middle of searches: those in flight are answered, and the host starts the site again."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from benchmarks.fault_place import Place
from benchmarks.figures import DATA, Figure
from benchmarks.load import Load
from tests.servers import Server

IN_FLIGHT, CHARACTERS = 4, 100_000
SENT_S = 0.3  # by then a request is at work: one of so many characters takes longer
EARLIER_S = 0.2  # sent so long before, a request was taken in


def stopped_in_a_search(place: Place, load: Load) -> list[Figure]:
    """Return how requests fared that were in flight at the signal; the site is running again."""
    port, statuses = place.site.port, []
    body = json.dumps({"text": long_text(), "collection": "sample"}).encode()
    with ThreadPoolExecutor(IN_FLIGHT) as clients:
        going = [clients.submit(recommended, place.site, body) for _ in range(IN_FLIGHT)]
        time.sleep(SENT_S)
        at_work = sum(not one.done() for one in going)
        signalled = time.monotonic()
        stopping = threading.Thread(target=place.stop)
        stopping.start()
        statuses = [one.result() for one in going]
        stopping.join()
    place.start(port)
    cut = [one for one in load.since(signalled) if one.began < signalled - EARLIER_S and one.status == 0]
    return [
        Figure("SIGTERM in a search: long requests at work then", at_work),
        Figure("SIGTERM in a search: of these not answered", sum(one != 200 for one in statuses), "", "<= 0"),
        Figure("SIGTERM in a search: others in flight that were cut off", len(cut), "", "<= 0"),
    ]


def recommended(site: Server, body: bytes) -> int:
    try:
        return site.send("POST", "/api/recommend", body, Content_Type="application/json").status
    except (OSError, HTTPException):
        return 0


def long_text() -> str:
    with (DATA / "he_docs.jsonl").open(encoding="utf-8") as lines:
        return " ".join(json.loads(line)["body"] for line in lines)[:CHARACTERS]
