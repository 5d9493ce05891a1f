"""Measures against values worked out by hand, and files of judgements that are not quite right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.orm import Session

from search.evaluation import BadJudgements, evaluate, interval, measures, ndcg, read_judgements, read_queries
from tests.collections import fill, off_side

FOUND = ["a", "b", "c", "d"]


def test_one_ranking_is_measured_as_by_hand() -> None:
    # Gains 1 at rank 2 and 3 at rank 4, of 3, 1 and 1 at ranks 1 to 3:
    # (1/1.58496 + 3/2.32193) / (3/1 + 1/1.58496 + 1/2) = 1.92296 / 4.13093
    reciprocal, gain, *recalls = measures(FOUND, {"b": 1, "d": 2, "z": 1})
    assert reciprocal == 0.5
    assert gain == pytest.approx(0.46550, abs=1e-5)
    assert recalls == pytest.approx([0, 2 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("found", "relevant", "expected"),
    [
        (FOUND, {"a": 1}, [1, 1, 1, 1, 1]),
        (FOUND, {"z": 1}, [0, 0, 0, 0, 0]),
        ([], {"a": 1}, [0, 0, 0, 0, 0]),
        (FOUND, {"a": 0}, [0, 0, 0, 0, 0]),
        (FOUND, {}, [0, 0, 0, 0, 0]),
        (["x"] * 10 + ["a"], {"a": 1}, [0, 0, 0, 0, 1]),
        (["x"] * 9 + ["a"], {"a": 1}, [0.1, 1 / np.log2(11), 0, 1, 1]),
        (FOUND, dict.fromkeys(FOUND, 1), [1, 1, 0.25, 1, 1]),
    ],
)
def test_the_ends_of_the_scale(found: list[str], relevant: dict[str, float], expected: list[float]) -> None:
    assert measures(found, relevant) == pytest.approx(expected)


def test_the_order_counts_for_the_gain() -> None:
    relevant = {"a": 2.0, "b": 1.0}
    assert ndcg(["a", "b"], relevant) == 1
    # Gains 1 and 3 in the wrong order: 2.89279 of 3.63093 that were to be had.
    assert ndcg(["b", "a"], relevant) == pytest.approx(0.79671, abs=1e-5)


def test_the_interval_holds_the_mean_and_narrows_with_more_queries() -> None:
    few, many = (interval(np.array([0.0, 1.0] * half)) for half in (8, 200))
    # A share of 0.5: 1.96 standard errors are 1.96 x 0.5 / sqrt(n).
    for figure, count in ((few, 16), (many, 400)):
        half = 1.96 * 0.5 / np.sqrt(count)
        assert figure.mean == 0.5
        assert figure.low == pytest.approx(0.5 - half, abs=0.03)
        assert figure.high == pytest.approx(0.5 + half, abs=0.03)
    assert interval(np.array([0.25] * 5)) == interval(np.array([0.25]))
    assert interval(np.zeros(0)).mean == 0


def test_queries_without_judgements_do_not_count(session: Session) -> None:
    fill(session)
    queries = {"1": "חוזה שכירות", "2": "עדשים", "3": "sourdough", "4": "cache"}
    judged = {"1": {"rent": 1.0}, "2": {"bread": 1.0}, "3": {}}
    asked: list[int] = []
    found = evaluate(session, off_side(), "house", "text", queries, judged, lambda: asked.append(1))
    assert (found.queries, len(asked), found.mode) == (2, 2, "text")
    assert [figure.mean for figure in found.figures.values()] == [0.5] * 5
    assert found.cpu_ms > 0


def test_files_are_read_with_marks_headers_and_unusual_separators(tmp_path: Path) -> None:
    queries, qrels = tmp_path / "q.jsonl", tmp_path / "r.tsv"
    queries.write_text('\ufeff{"id": 1, "text": "א\u2028ב"}\r\n{"id": "2", "text": ""}\n', encoding="utf-8", newline="")
    qrels.write_text("query-id\tcorpus-id\tscore\r\n1\td 1\t1\r\n1\td2\t0.5\n2\td1\t0\n", encoding="utf-8", newline="")
    assert read_queries(queries) == {"1": "א\u2028ב", "2": ""}
    assert read_judgements(qrels) == {"1": {"d 1": 1.0, "d2": 0.5}, "2": {"d1": 0.0}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "q.jsonl, line 1"),
        (b'{"id": "1", "text": "a"}\n\n', "q.jsonl, line 2"),
        (b'{"id": "1"}', "q.jsonl, line 1"),
        (b'["1", "a"]', "q.jsonl, line 1"),
        (b'{"id": "1", "text": "a"}\n{"id": "2", "text": "\xe0"}', "q.jsonl, line 2: not UTF-8"),
    ],
)
def test_a_bad_line_of_queries_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "q.jsonl").write_bytes(content)
    with pytest.raises(BadJudgements, match=said):
        read_queries(tmp_path / "q.jsonl")


@pytest.mark.parametrize("line", ["1\td1", "1 d1 1", "1\td1\tyes", "1\tQ0\td1\t1", ""])
def test_a_bad_line_of_judgements_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "r.tsv"
    path.write_text(f"query-id\tcorpus-id\tscore\n1\td1\t1\n{line}\n", encoding="utf-8")
    with pytest.raises(BadJudgements, match=r"r\.tsv, line 3"):
        read_judgements(path)
