"""How well a search finds what people judged relevant: MRR, nDCG and recall with bootstrap intervals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from search.query import Query
from search.search import search
from search.semantic import Semantic

DEPTH = 50
RESAMPLES = 1_000
MEASURES = ("mrr@10", "ndcg@10", "recall@1", "recall@10", "recall@50")


class BadJudgements(ValueError):
    """A file of queries or judgements that cannot be read; the message names the line."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over queries and the 95 % interval of it."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one mode; `cpu_ms` is the processor time of a query."""

    mode: str
    queries: int
    figures: Mapping[str, Figure]
    cpu_ms: float


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text; only a line feed ends one, for a query may hold any other separator."""
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadJudgements(f"{path.name}, line {line}: not UTF-8") from None


def read_queries(path: Path) -> dict[str, str]:
    """Return {query id: text} of a file with {"id", "text"} a line."""
    found = {}
    for number, line in enumerate(read_lines(path), 1):
        try:
            row = json.loads(line)
            found[str(row["id"])] = str(row["text"])
        except (ValueError, KeyError, TypeError):
            raise BadJudgements(f'{path.name}, line {number}: not {{"id": …, "text": …}}') from None
    return found


def read_judgements(path: Path) -> dict[str, dict[str, float]]:
    """Return {query id: {document id: relevance}} of a TSV: query-id, corpus-id, score."""
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split("\t")
        if number == 1 and cells[0] == "query-id":
            continue
        try:
            query, document, score = cells
            found.setdefault(query, {})[document] = float(score)
        except ValueError:
            raise BadJudgements(
                f"{path.name}, line {number}: not query-id, corpus-id, score with tabs between"
            ) from None
    return found


def evaluate(
    session: Session,
    semantic: Semantic,
    collection: str,
    mode: str,
    queries: Mapping[str, str],
    judgements: Mapping[str, Mapping[str, float]],
    on_query: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Return the figures of one mode over the queries that have judgements."""
    judged = [name for name in queries if judgements.get(name)]
    measured = []
    began = time.process_time()
    for name in judged:
        query = Query(text=queries[name], mode=mode, collection=collection, limit=DEPTH)
        found = [hit.id for hit in search(session, query, semantic, wait_s=60).hits]
        measured.append(measures(found, judgements[name]))
        on_query()
    cpu_ms = (time.process_time() - began) * 1000 / max(len(judged), 1)
    table = np.array(measured or np.zeros((0, len(MEASURES))))
    figures = {name: interval(table[:, place]) for place, name in enumerate(MEASURES)}
    return Evaluation(mode, len(judged), figures, round(cpu_ms, 2))


def measures(found: Sequence[str], relevant: Mapping[str, float]) -> list[float]:
    """Return MRR@10, nDCG@10 and recall@1, 10 and 50 of one ranking."""
    ranks = [rank for rank, document in enumerate(found, 1) if relevant.get(document, 0) > 0]
    total = sum(score > 0 for score in relevant.values())
    recalls = [sum(rank <= depth for rank in ranks) / total if total else 0.0 for depth in (1, 10, 50)]
    reciprocal = 1 / ranks[0] if ranks and ranks[0] <= 10 else 0.0
    return [reciprocal, ndcg(found[:10], relevant), *recalls]


def ndcg(found: Sequence[str], relevant: Mapping[str, float]) -> float:
    """Return the discounted gain of a ranking against the best one possible (Järvelin and Kekäläinen, 2002)."""
    gain = sum((2 ** relevant.get(document, 0) - 1) / np.log2(place + 2) for place, document in enumerate(found))
    best = sorted(relevant.values(), reverse=True)[: max(len(found), 10)]
    ideal = sum((2**score - 1) / np.log2(place + 2) for place, score in enumerate(best))
    return float(gain / ideal) if ideal else 0.0


def interval(values: NDArray[np.float64]) -> Figure:
    """Return the mean and its 95 % bootstrap interval, resampled with a fixed seed."""
    if not len(values):
        return Figure(0.0, 0.0, 0.0)
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(round(float(values.mean()), 4), round(float(low), 4), round(float(high), 4))
