"""10,000 malformed requests to the real server: python -m benchmarks.fuzz [CASES [FIRST]]. No 5xx but 503.

As a visitor, with a key that reads one collection, and as an admin, who alone may see the private documents.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.figures import WORK, Figure, flask, tell
from benchmarks.fuzz_cases import Case, Known, case
from tests.servers import Server, serving

CASES, CLIENTS, WAIT_S = 10_000, 4, 60.0
ADMIN = "a token of the benchmark"
# Nothing that is sent has these words: whoever is answered with one of them was told what is private.
PRIVATE_WORDS = (b"quetzalcoatl", b"zanzibar", b"xipetotec", b"mictlan")
PRIVATE = "id,title,body,tags,salary\nS-1,Quetzalcoatl plan,zanzibar common words,gardening;xipetotec,mictlan\n"
OPEN = "id,title,body,tags\no1,Gardens,common words about gardens,gardening\no2,שלום,מים ולחם,plumbing\n"
JOBS = "id,title,skills\nj1,Gardener,gardening;plumbing\n"


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the headers of every request, and the token of its forms."""

    name: str
    headers: tuple[tuple[str, str], ...]
    form_token: str
    may_see_all: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of the cases: by status, and the numbers of those that went wrong, with their client."""

    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)


def fuzzed(site: Server, clients: Sequence[Client], known: Known, cases: range) -> Outcome:
    outcome = Outcome()

    def ask(number: int) -> None:
        client = clients[number // 10 % len(clients)]
        # Each from an address of its own, as behind a proxy: what is limited by client would not be reached otherwise.
        sender = ("X-Forwarded-For", f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        drawn = case(number, known, client.form_token, (*client.headers, sender))
        status, answer = answered(site.port, drawn)
        outcome.statuses[status] += 1
        name = f"{number} ({drawn.kind}, {client.name}): {status} for {drawn.data[:100]!r}"
        if status >= 500 and status != 503:
            outcome.failed.append(name)
        if status == 0 and drawn.is_whole:
            outcome.unanswered.append(name)
        if not client.may_see_all and any(word in answer.lower() for word in PRIVATE_WORDS):
            outcome.leaked.append(name)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(ask, cases))
    return outcome


def answered(port: int, drawn: Case) -> tuple[int, bytes]:
    """Return status and answer; 0 if the connection ended without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        try:
            connection.sendall(drawn.data)
            if not drawn.is_whole:
                connection.shutdown(socket.SHUT_WR)  # else the server waits for the rest
            response = HTTPResponse(connection, method=drawn.data[:4].decode("latin-1").strip())
            response.begin()
            return response.status, response.read()
        except (OSError, HTTPException, ValueError):
            return 0, b""


def standing_site(folder: Path, **settings: str) -> None:
    """Fill an instance folder: public collections, and a private one."""
    flask(folder, "db", "upgrade", **settings)
    for name, content, *options in (("documents", OPEN), ("jobs", JOBS), ("hidden", PRIVATE, "--private")):
        file = folder / f"{name}.csv"
        file.write_text(content, encoding="utf-8")
        flask(folder, "import", str(file), "--collection", name, *options, **settings)
        file.unlink()


def signed_in(site: Server, name: str, key: str, may_see_all: bool = False) -> Client:
    """Return a client with a session, signed in if it has a key."""
    form = site.send("GET", "/signin")
    token = re.search(r'name="csrf_token" value="([^"]+)"', form.text)
    assert token is not None
    cookie = (form.headers["Set-Cookie"] or "").partition(";")[0]
    if not key:
        return Client(name, (("Cookie", cookie),), token[1])
    body = urlencode({"csrf_token": token[1], "key": key}).encode()
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    answer = site.send("POST", "/signin", body, **{each.replace("-", "_"): value for each, value in headers.items()})
    assert answer.status == 303, answer.status
    session = answer.headers["Set-Cookie"].partition(";")[0]
    return Client(name, (("Cookie", session), ("Authorization", f"Bearer {key}")), token[1], may_see_all)


def ids_of(site: Server, client: Client) -> list[str]:
    """Begin a screening and save a search as a client, and return their ids: some requests are then for them."""
    headers = dict(client.headers) | {"Content_Type": "application/json"}
    bodies = {
        "/api/screenings": {"job_id": "j1", "jobs": "jobs", "profiles": "documents"},
        "/api/searches": {"address": "/text?q=common"},
    }
    answers = [site.send("POST", path, json.dumps(body).encode(), **headers) for path, body in bodies.items()]
    return [str(answer.json["id"]) for answer in answers if answer.status < 400]


def known_routes(folder: Path, **settings: str) -> list[tuple[str, str]]:
    """Return (method, path) of all routes."""
    rows = [re.split(" {2,}", line.strip()) for line in flask(folder, "routes", **settings).splitlines()[2:]]
    found = [(method, row[2]) for row in rows if len(row) == 3 for method in row[1].split(", ")]
    return sorted((method, path) for method, path in found if method in ("GET", "POST", "PUT", "DELETE"))


def run(folder: Path, cases: range, **settings: str) -> list[Figure]:
    """Return the figures of a run on a fresh site in the folder."""
    standing_site(folder, **settings)
    scopes = ("--scope", "read", "--scope", "match", "--collection", "documents")
    key = flask(folder, "keys", "create", "a", *scopes, **settings)
    routes = known_routes(folder, **settings)
    limits = {"RATE_LIMIT": "1000000/minute", "RATE_LIMIT_CPU": "0", "ADMIN_TOKEN": ADMIN, "TRUSTED_PROXIES": "1"}
    with serving(folder, **limits | settings) as site:
        before = {worker.pid for worker in site.workers()}
        clients = [
            signed_in(site, "visitor", ""), signed_in(site, "reader", key.split()[-1]),
            signed_in(site, "admin", ADMIN, may_see_all=True),
        ]  # fmt: skip
        known = Known(routes, [id_of for client in clients for id_of in ids_of(site, client)])
        outcome = fuzzed(site, clients, known, cases)
        is_well = site.get("/livez")[0] == 200 and site.get("/health")[0] == 200
        restarts = len({worker.pid for worker in site.workers()} - before)
        traces = site.log.count("Traceback (most recent call last)")
    for line in (*outcome.failed[:20], *outcome.leaked[:20], *outcome.unanswered[:20]):
        print(line, file=sys.stderr)
    print(dict(sorted(outcome.statuses.items())), file=sys.stderr)
    return [
        Figure("cases", len(cases)),
        Figure("answers 5xx other than 503", len(outcome.failed), "", "<= 0"),
        Figure("answers with a word of a private document", len(outcome.leaked), "", "<= 0"),
        Figure("whole requests without an answer", len(outcome.unanswered), "", "<= 0"),
        Figure("tracebacks in the log", traces, "", "<= 0"),
        Figure("workers that ended", restarts, "", "<= 0"),
        Figure("well afterwards", int(is_well), "", ">= 1"),
    ]


def main() -> int:
    folder = WORK / "fuzz"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    many, first = (int(given) for given in [*sys.argv[1:3], *(str(CASES), "0")[len(sys.argv[1:3]) :]])
    figures = run(folder, range(first, first + many))
    tell(figures)
    return int(not all(figure.is_met for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
