"""Search quality against human judgements: MRR, nDCG and recall with bootstrap intervals."""

from __future__ import annotations

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
from utils.bounded_json import parse_json

DEPTH = 50
RESAMPLES = 1_000
MEASURES = ("mrr@10", "ndcg@10", "recall@1", "recall@10", "recall@50")


class BadJudgements(ValueError):
    """An unreadable file of queries or judgements; the message names the line."""


@dataclass(frozen=True, slots=True)
class MeanFigure:
    """A mean over queries with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one mode; `cpu_ms` is the processor time per query."""

    mode: str
    queries: int
    figures: Mapping[str, MeanFigure]
    cpu_ms: float


QUESTIONS = Path(__file__).resolve().parents[1] / "data" / "sample-questions.jsonl"  # over the sample collection


@dataclass(frozen=True, slots=True)
class Question:
    """A query with the relevance of documents, by their ids: 2 answers it, 1 touches it; none if no document does."""

    text: str
    kind: str
    relevant: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class KindFigures:
    """The figures of one mode for one kind of question.

    `success` is the share with an answer among the first three; `nothing` the share for which the page finds nothing,
    or says that nothing answers closely.
    """

    mode: str
    kind: str
    questions: int
    mrr: float
    ndcg: float
    success: float
    nothing: float


def read_questions(path: Path) -> list[Question]:
    """Return the questions of a file of {"text", "kind", "relevant": {document: 1 or 2}} objects, one per line."""
    questions = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            row = parse_json(line)
            relevant = {str(name): float(score) for name, score in row["relevant"].items()}
            questions.append(Question(str(row["text"]), str(row["kind"]), relevant))
        except (ValueError, KeyError, TypeError, AttributeError):
            expected = '{"text": …, "kind": …, "relevant": {document: 1 or 2}}'
            raise BadJudgements(f"{path.name}, line {number}: not {expected}") from None
    return questions


def evaluate_by_kind(
    session: Session,
    semantic: Semantic,
    collection: str,
    mode: str,
    questions: Sequence[Question],
    on_query: Callable[[], None] = lambda: None,
) -> list[KindFigures]:
    """Evaluate one mode; the figures of each kind in the order of the file, and of all that have an answer."""
    rows: dict[str, list[list[float]]] = {}
    for question in questions:
        query = Query(text=question.text, mode=mode, collection=collection, limit=DEPTH)
        page = search(session, query, semantic, wait_s=60)
        ranking = [hit.id for hit in page.hits]
        mrr, ndcg, *_ = measures(ranking, question.relevant)
        success = any(question.relevant.get(document, 0) > 0 for document in ranking[:3])
        row = [mrr, ndcg, float(success), float(not page.hits or page.is_weak)]
        rows.setdefault(question.kind, []).append(row)
        if question.relevant:
            rows.setdefault(ANSWERED, []).append(row)
        on_query()
    figures = {kind: np.array(found).mean(axis=0).round(4).tolist() for kind, found in rows.items()}
    return [KindFigures(mode, kind, len(rows[kind]), *values) for kind, values in figures.items()]


ANSWERED = "all with an answer"


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file; only a line feed ends a line, since a query may contain other separators."""
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadJudgements(f"{path.name}, line {line}: not UTF-8") from None


def read_queries(path: Path) -> dict[str, str]:
    """Return {query id: text} from a file of one {"id", "text"} object per line."""
    texts = {}
    for number, line in enumerate(read_lines(path), 1):
        try:
            row = parse_json(line)
            texts[str(row["id"])] = str(row["text"])
        except (ValueError, KeyError, TypeError):
            raise BadJudgements(f'{path.name}, line {number}: not {{"id": …, "text": …}}') from None
    return texts


def read_judgements(path: Path) -> dict[str, dict[str, float]]:
    """Return {query id: {document id: relevance}} from a TSV file: query-id, corpus-id, score."""
    judgements: dict[str, dict[str, float]] = {}
    for number, line in enumerate(read_lines(path), 1):
        cells = line.split("\t")
        if number == 1 and cells[0] == "query-id":
            continue
        try:
            query, document, score = cells
            judgements.setdefault(query, {})[document] = float(score)
        except ValueError:
            raise BadJudgements(
                f"{path.name}, line {number}: not query-id, corpus-id, score separated by tabs"
            ) from None
    return judgements


def evaluate(
    session: Session,
    semantic: Semantic,
    collection: str,
    mode: str,
    queries: Mapping[str, str],
    judgements: Mapping[str, Mapping[str, float]],
    on_query: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Evaluate one mode on the queries that have judgements."""
    judged = [name for name in queries if judgements.get(name)]
    measured = []
    started = time.process_time()
    for name in judged:
        query = Query(text=queries[name], mode=mode, collection=collection, limit=DEPTH)
        ranking = [hit.id for hit in search(session, query, semantic, wait_s=60).hits]
        measured.append(measures(ranking, judgements[name]))
        on_query()
    cpu_ms = (time.process_time() - started) * 1000 / max(len(judged), 1)
    table = np.array(measured or np.zeros((0, len(MEASURES))))
    figures = {name: interval(table[:, place]) for place, name in enumerate(MEASURES)}
    return Evaluation(mode, len(judged), figures, round(cpu_ms, 2))


def measures(ranking: Sequence[str], relevant: Mapping[str, float]) -> list[float]:
    """Return MRR@10, nDCG@10, and recall@1, @10 and @50 of one ranking."""
    ranks = [rank for rank, document in enumerate(ranking, 1) if relevant.get(document, 0) > 0]
    total = sum(score > 0 for score in relevant.values())
    recalls = [sum(rank <= depth for rank in ranks) / total if total else 0.0 for depth in (1, 10, 50)]
    reciprocal = 1 / ranks[0] if ranks and ranks[0] <= 10 else 0.0
    return [reciprocal, ndcg(ranking[:10], relevant), *recalls]


def ndcg(ranking: Sequence[str], relevant: Mapping[str, float]) -> float:
    """Return the normalized discounted cumulative gain of a ranking (Järvelin and Kekäläinen, 2002)."""
    gain = sum((2 ** relevant.get(document, 0) - 1) / np.log2(place + 2) for place, document in enumerate(ranking))
    best = sorted(relevant.values(), reverse=True)[: max(len(ranking), 10)]
    ideal = sum((2**score - 1) / np.log2(place + 2) for place, score in enumerate(best))
    return float(gain / ideal) if ideal else 0.0


def interval(values: NDArray[np.float64]) -> MeanFigure:
    """Return the mean and its 95 % bootstrap interval, resampled with a fixed seed."""
    if not len(values):
        return MeanFigure(0.0, 0.0, 0.0)
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return MeanFigure(round(float(values.mean()), 4), round(float(low), 4), round(float(high), 4))
