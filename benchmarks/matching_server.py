"""Matching as a server answers it: processor time of whole requests, and memory, in a hard 512 MB."""

from __future__ import annotations

import http.client
import json
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.many_jobs import roles, taxonomy, wide
from benchmarks.rewording import reworded
from benchmarks.server import CLIENTS, Server, first_semantic_s, served

ASKED = 60
Body = Mapping[str, Any]


def post(server: Server, path: str, body: Body) -> dict[str, Any]:
    """Return what the server answers; raises RuntimeError for anything but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {said[:200]!r}")
    told: dict[str, Any] = json.loads(said)
    return told


def cpu_ms(server: Server, path: str, bodies: Sequence[Body]) -> float:
    """Return the processor time of a request: the mean of as many as there are, the median of three rounds."""
    rounds = [list(bodies[start::3]) for start in range(3)]
    return statistics.median(_mean_ms(server, path, some) for some in rounds)


def _mean_ms(server: Server, path: str, bodies: Sequence[Body]) -> float:
    before = server.cpu_s()
    for body in bodies:
        post(server, path, body)
    return (server.cpu_s() - before) * 1000 / len(bodies)


def profiles() -> Iterator[list[str]]:
    """Yield people without end: 8 to 16 skills of one or two roles, always the same ones."""
    chance = random.Random(23)
    while True:
        one, other = chance.sample(roles(), 2)
        skills = list(dict.fromkeys(chance.sample(one["skills"], len(one["skills"]) // 2) + other["skills"]))
        yield chance.sample(skills, min(len(skills), chance.randint(8, 16)))


def in_other_words(skills: Sequence[str], seed: int) -> list[str]:
    chance = random.Random(seed)
    return [reworded(skill, chance, 1, taxonomy()) for skill in skills]


def measured(name: str, instance: Path, **environment: str) -> list[Figure]:
    """Return the figures of one server's life."""
    with served(instance, **environment) as server:
        at_rest = server.pss_mb()
        first_semantic_s(server)
        figures = [*_usual(server), _cold(server), *_unusual(server)]
        _hammered(server)
        loaded = server.pss_mb()
        peaks = server.stop()
    figures = [
        Figure("at rest, PSS of all processes", round(at_rest, 1), "MB", "<= 90"),
        *figures,
        Figure("after all this, the model loaded, PSS", round(loaded, 1), "MB"),
        Figure("peak anonymous memory, 8 clients", peaks["peak_anonymous_mb"], "MB", "<= 220"),
        Figure("killed for memory", peaks["oom_kills"], "", "<= 0"),
    ]
    return [replace(one, name=f"{name}: {one.name}") for one in figures]


def settled_mb(instance: Path, **environment: str) -> float:
    """Return the memory after the usual requests, one after another and many at once."""
    with served(instance, **environment) as server:
        first_semantic_s(server)
        _usual(server)
        _hammered(server)
        return server.pss_mb()


def _fits() -> list[Body]:
    return [{"skills": skills} for skills in islice(profiles(), ASKED + 1)]


def _gaps() -> list[Body]:
    chosen = random.Random(3).sample(roles(), ASKED + 1)
    return [{"skills": skills, "document_id": role["id"]} for skills, role in zip(profiles(), chosen)]  # noqa: B905 - endless


def _usual(server: Server) -> list[Figure]:
    return [
        Figure("recommend, warm", _warm(server, "/api/recommend", _fits()), "CPU ms", "<= 60"),
        Figure("skill-gap, warm", _warm(server, "/api/skill-gap", _gaps()), "CPU ms", "<= 60"),
    ]


def _cold(server: Server) -> Figure:
    """Return what 60 skills cost that are no tag and that nobody asked before."""
    skills = wide()["skills"]
    bodies = [{"skills": in_other_words(skills, seed), "document_id": "wide"} for seed in range(4)]
    spent = statistics.median(_mean_ms(server, "/api/skill-gap", [body]) for body in bodies)
    return Figure("60 skills that are no tag, against a job of 60, nothing kept", round(spent), "CPU ms", "<= 2000")


def _unusual(server: Server) -> list[Figure]:
    both = {
        "skills": [*wide()["skills"][20:], *next(profiles())[:8], *roles()[99]["skills"][:12]],
        "document_id": "wide",
    }
    reworded_ones = [{"skills": in_other_words(body["skills"], n)} for n, body in enumerate(_fits()[:31])]
    texts = [{"text": role["description"]} for role in random.Random(4).sample(roles(), 31)]
    long = [{"text": text} for text in long_texts(7)]
    fit, gap = "/api/recommend", "/api/skill-gap"
    return [
        Figure("a person of 60 skills against a job of 60, warm", _warm(server, gap, [both] * 31), "CPU ms", "<= 50"),
        Figure("recommend, 8 to 16 skills all reworded", _warm(server, fit, reworded_ones), "CPU ms"),
        Figure("recommend, a text of 125 characters", _warm(server, fit, texts), "CPU ms"),
        Figure("recommend, a text of 100,000 characters", _warm(server, fit, long), "CPU ms", "<= 700"),
    ]


def _hammered(server: Server) -> None:
    asked = [("/api/recommend", body) for body in _fits()] + [("/api/skill-gap", body) for body in _gaps()]
    random.Random(5).shuffle(asked)
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda pair: post(server, *pair), asked * 2))


def _warm(server: Server, path: str, bodies: Sequence[Body]) -> float:
    post(server, path, bodies[0])
    return round(cpu_ms(server, path, bodies[1:]), 1)


def long_texts(count: int) -> list[str]:
    """Return texts of 100,000 characters, of roles' descriptions with a skill after every other."""
    chance = random.Random(31)
    found = []
    for _ in range(count):
        parts = [f"{role['description']} {role['skills'][0]}." for role in chance.sample(roles(), 900)]
        found.append(" ".join(parts)[:100_000])
    return found
