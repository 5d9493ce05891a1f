"""Streams a screening's results as CSV or JSON, one result at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from matching.scores import Answers
from models import Screening
from screening.columns import OFFERED_COLUMNS
from screening.results import Result
from utils.cells import MARK, csv_line

HEADER = (
    "rank", "id", "title", "language", "match_percent", "has", "close", "missing", "missing_optional", "status", "note",
    "changed_since_ranked", "decided_by", "decided_at",
)  # fmt: skip
ANSWER = ("required", "skill", "optional", "below")


def csv_lines(screening: Screening, results: Iterable[Result]) -> Iterator[str]:
    columns = offered(screening)
    yield MARK + csv_line([*HEADER, *columns])
    for result in results:
        answers = result.answers
        close = [f"{answer.required} ({answer.skill})" for answer in answers.matched if answer.kind == "close"]
        lists = ([answer.required for answer in answers.matched if answer.kind == "exact"], close)
        cells = [result.rank, result.id, result.title, result.language, result.match_percent]
        cells += ["; ".join(names) for names in (*lists, answers.missing, answers.missing_optional)]
        cells += [result.status, result.note, "yes" if result.is_changed else "", result.decided_by]
        cells += [datetime.fromtimestamp(result.decided_at, UTC).isoformat() if result.decided_at else ""]
        yield csv_line([*cells, *(result.values.get(name, "") for name in columns)])


def offered(screening: Screening) -> list[str]:
    names = [column["name"] for column in screening.columns if column["kind"] == "number" or column["values"]]
    return names[:OFFERED_COLUMNS]


def json_lines(screening: Screening, results: Iterable[Result]) -> Iterator[str]:
    yield '{"screening": ' + json.dumps(screening_json(screening), ensure_ascii=False) + ', "profiles": ['
    for place, result in enumerate(results):
        yield (",\n" if place else "\n") + json.dumps(result_json(result), ensure_ascii=False)
    yield "\n]}\n"


def screening_json(screening: Screening) -> dict[str, Any]:
    """Return a screening as JSON for the API."""
    names = ("id", "jobs", "job_id", "title", "profiles", "state", "done", "total", "made_at", "updated_at")
    values = {name: getattr(screening, name) for name in names}
    asked = [{"skill": name, "optional": optional} for name, _, optional in screening.asked]
    message = screening.message or None
    return values | {"job_id": screening.job_id or None, "asked": asked, "message": message}


def result_json(result: Result) -> dict[str, Any]:
    return {
        "rank": result.rank,
        "id": result.id,
        "title": result.title,
        "language": result.language,
        "score": round(result.score, 4),
        "match_percent": result.match_percent,
        **answers_json(result.answers),
        "status": result.status,
        "note": result.note,
        "decided_by": result.decided_by or None,
        "decided_at": result.decided_at or None,
        "changed": result.is_changed,
        "values": result.values,
    }


def answers_json(answers: Answers) -> dict[str, Any]:
    """Return the skills that a profile has, those with a similar skill, and the missing ones."""
    values = answers.as_json()
    matched = values.pop("matched")
    exact = [{name: answer[name] for name in ANSWER} for answer in matched if answer["kind"] == "exact"]
    close = [{name: answer[name] for name in (*ANSWER, "score")} for answer in matched if answer["kind"] == "close"]
    return {"has": exact, "close": close, **values}
