"""What a site of many documents takes: processor time here and in the database by kind of search, and memory."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.figures import Figure
from benchmarks.growth_texts import common, frequencies, rare
from benchmarks.server import CLIENTS, Server, first_semantic_s, rows, served

ASKED, WARM, AT_ONCE = 20, 3, 160
NO_SEARCH = ("/health", "/metrics")
Query = Mapping[str, str]
Spent = Callable[[], float]


def by_words() -> dict[str, list[Query]]:
    """Return searches that need no model, by kind."""
    words, tags = frequencies()
    own = [name for name in rare(tags, 200) if name.startswith("נושא")]
    most = ASKED + WARM
    return {
        "text, a rare word": [{"mode": "text", "q": word} for word in rare(words, most)],
        "text, a common word": [{"mode": "text", "q": word} for word in common(words, most)],
        "text, two common words": [{"mode": "text", "q": " ".join(pair)} for pair in _pairs(common(words, 2 * most))],
        "text, a question": [{"mode": "text", "q": question} for question in questions()[:most]],
        "tags, a rare one": [{"mode": "tags", "q": tag} for tag in own[:most]],
        "tags, a common one": [{"mode": "tags", "q": tag} for tag in common(tags, most)],
        "all, newest first": [{"mode": "text", "q": "", "page": str(page + 1)} for page in range(most)],
    }


def by_meaning() -> dict[str, list[Query]]:
    tags = common(frequencies()[1], 8)
    asked = questions()[100:]
    most = ASKED + WARM
    return {
        "semantic, a question": [{"mode": "semantic", "q": one} for one in asked[:most]],
        "semantic, among a common tag": [
            {"mode": "semantic", "q": one, "tag": tags[n % len(tags)]} for n, one in enumerate(asked[most : 2 * most])
        ],
        "hybrid, a question": [{"mode": "hybrid", "q": one} for one in asked[2 * most : 3 * most]],
    }


def questions() -> list[str]:
    return [row["text"] for row in rows("heq_queries")]


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


def searched(
    name: str, instance: Path, database_s: Spent, limit: str, environment: Mapping[str, str], whole: bool = True
) -> list[Figure]:
    """Return the figures of one server's life; without `whole`, of searches by meaning alone."""
    with served(instance, limit, **environment) as server:
        at_rest = server.pss_mb()
        figures = []
        if whole:
            figures = [*_by_kind(server, by_words(), database_s), *_pages(server, database_s)]
            _at_once(server, by_words())
            figures.append(Figure("after searches by words and tags, PSS", server.pss_mb(), "MB"))
        figures.append(Figure("first semantic search, its index read", first_semantic_s(server), "s"))
        figures += _by_kind(server, by_meaning(), database_s)
        failed = _at_once(server, by_words() | by_meaning())
        figures.append(Figure("after all searches, the model loaded, PSS", server.pss_mb(), "MB"))
        figures += _held(server)
        peaks = server.stop()
    figures = [
        Figure("at rest, PSS", at_rest, "MB", "<= 90"),
        *figures,
        Figure(f"peak anonymous, {CLIENTS} clients, in a hard {limit}", peaks["peak_anonymous_mb"], "MB"),
        Figure("answers 5xx", failed, "", "<= 0"),
        Figure("killed for memory", peaks["oom_kills"], "", "<= 0"),
    ]
    return [replace(one, name=f"{name}: {one.name}", value=round(one.value, 1)) for one in figures]


def _held(server: Server) -> list[Figure]:
    """Return what the index in memory holds, by the app's own account."""
    index = json.loads(server.get("/api/monitoring/memory")[1])["index"]
    return [Figure(f"index: {key}", float(value)) for key, value in index.items() if isinstance(value, int | float)]


def _by_kind(server: Server, kinds: Mapping[str, Sequence[Query]], database_s: Spent) -> list[Figure]:
    figures = []
    for kind, queries in kinds.items():
        asked = ["/api/search?" + urlencode(query) for query in queries]
        figures += _spent(server, kind, asked, database_s)
    return figures


def _pages(server: Server, database_s: Spent) -> list[Figure]:
    return [figure for path in NO_SEARCH for figure in _spent(server, path, [path] * (2 + WARM), database_s)]


def _spent(server: Server, kind: str, paths: Sequence[str], database_s: Spent) -> list[Figure]:
    """Return milliseconds a request: of the site's processors, of the database's, and by the clock."""
    for path in paths[:WARM]:
        server.get(path)
    here, there, clock = server.cpu_s(), database_s(), []
    for path in paths[WARM:]:
        began = time.monotonic()
        status, body = server.get(path)
        clock.append((time.monotonic() - began) * 1000)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body[:200]!r}")
    here, there = server.cpu_s() - here, database_s() - there
    count = len(paths) - WARM
    return [
        Figure(kind, here * 1000 / count, "CPU ms"),
        *([Figure(f"{kind}, in the database", there * 1000 / count, "CPU ms")] if there else []),
        Figure(f"{kind}, median by the clock", statistics.median(clock), "ms"),
    ]


def _at_once(server: Server, kinds: Mapping[str, Sequence[Query]]) -> int:
    """Return how many searches of all kinds, by many clients, failed."""
    every = ["/api/search?" + urlencode(query) for queries in zip(*kinds.values(), strict=True) for query in queries]
    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(status >= 500 for status, _ in clients.map(server.get, every[:AT_ONCE]))
