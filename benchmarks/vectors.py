"""The index of embeddings at 100,000 x 384: recall against exact float32, processor time, memory, filters.

The vectors are made: clusters in a space whose spread and shared mean are those of e5's passages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, tell
from search.embeddings import FIRST, THEN
from utils.bit_index import BitIndex
from utils.bit_rows import SearchTarget
from utils.int8 import Floats, centred, compact
from utils.memory import MB, process_memory

ROWS, DIM, QUERIES, TOP = 100_000, 384, 200, 20


def made(random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return unit passages (ROWS, DIM) and queries (QUERIES, DIM), each query near a passage."""
    spread = random.standard_normal((DIM, DIM)).astype(np.float32) * np.exp(-np.arange(DIM) / 80)[:, None]
    centres = random.standard_normal((2_000, DIM)).astype(np.float32)
    latent = centres[random.integers(0, 2_000, ROWS)] * 0.8 + random.standard_normal((ROWS, DIM)).astype(np.float32)
    passages = (latent @ spread).astype(np.float32)
    mean = random.standard_normal(DIM).astype(np.float32)
    mean *= 2.2 * np.linalg.norm(passages, axis=1).mean() / np.linalg.norm(mean)
    near = latent[random.integers(0, ROWS, QUERIES)] + 0.5 * random.standard_normal((QUERIES, DIM))
    return unit(passages + mean), unit((near @ spread + 1.1 * mean).astype(np.float32))


def unit(rows: Floats) -> Floats:
    lengths: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return lengths


def own_bytes() -> int:
    memory = process_memory(__import__("os").getpid())
    return memory.anonymous if memory else 0


def filled(stored: list[bytes], mean: Floats, query_mean: Floats) -> BitIndex:
    index = BitIndex(mean, query_mean, len(stored))
    for start in range(0, len(stored), 1_000):
        keys = np.arange(start, min(start + 1_000, len(stored)))
        index.append(keys, np.zeros(len(keys), np.int16), centred(stored[start : start + 1_000], DIM))
    return index


def nearest_to(index: BitIndex, among: NDArray[np.int64] | None, query: Floats) -> NDArray[np.int64]:
    places = None if among is None else index.places(among)
    return index.nearest(SearchTarget.plain(query), FIRST, THEN, places)[0]


def recall(
    index: BitIndex, stored: list[bytes], exact: Floats, queries: Floats, among: NDArray[np.int64] | None
) -> float:
    """Return the share of the true top 20 that is among the first 20 after rescoring with int8 rows."""
    hits = 0
    rows = np.arange(ROWS) if among is None else among
    for number, query in enumerate(queries):
        places = nearest_to(index, among, query)
        keys = index.keys[places]
        scores = centred([stored[key] for key in keys], DIM) @ query
        best = set(keys[np.argsort(-scores)[:TOP]].tolist())
        true = set(rows[np.argsort(-exact[number, rows])[:TOP]].tolist())
        hits += len(best & true)
    return hits / (TOP * len(queries))


def cpu_ms(call: Callable[[Floats], object], queries: Floats) -> float:
    began = time.process_time()
    for query in queries:
        call(query)
    return (time.process_time() - began) * 1000 / len(queries)


def main() -> None:
    random = np.random.default_rng(1)
    passages, queries = made(random)
    mean, query_mean = passages[:3_000].mean(axis=0), queries.mean(axis=0)
    stored = compact(passages, mean)
    exact = queries @ passages.T
    before = own_bytes()
    index = filled(stored, mean, query_mean)
    held = (own_bytes() - before) / MB
    figures = [
        Figure("100,000 x 384: recall@20", recall(index, stored, exact, queries, None), bar=">= 0.97"),
        Figure("100,000 x 384: a query", cpu_ms(partial(nearest_to, index, None), queries), "CPU ms", "<= 5"),
        Figure("100,000 x 384: memory above the process", max(held, index.nbytes / MB), "MB", "<= 30"),
        Figure("bytes a stored vector", len(stored[0]), "B"),
    ]
    for share in (0.001, 0.1, 1.0):
        among = np.sort(random.choice(ROWS, int(ROWS * share), replace=False))
        name = f"100,000 x 384, filter {share:.1%}"
        figures.append(Figure(f"{name}: recall@20", recall(index, stored, exact, queries, among), bar=">= 0.97"))
        spent = cpu_ms(partial(nearest_to, index, among), queries)
        figures.append(Figure(f"{name}: a query", spent, "CPU ms"))
    tell([Figure(f.name, round(f.value, 4), f.unit, f.bar) for f in figures])


if __name__ == "__main__":
    main()
