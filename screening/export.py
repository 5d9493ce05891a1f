"""A screening's results as files, a piece at a time: what is written is not kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from matching.scores import Answer, Answers
from models import Screening
from screening.columns import OFFERED_COLUMNS
from screening.results import Result
from utils.cells import MARK, csv_line

HEADER = (
    "rank", "id", "title", "language", "match_percent", "has", "close", "missing", "missing_optional", "status", "note",
    "changed_since_ranked",
)  # fmt: skip


def csv_lines(screening: Screening, results: Iterable[Result]) -> Iterator[str]:
    columns = offered(screening)
    yield MARK + csv_line([*HEADER, *columns])
    for one in results:
        told = one.answers
        close = [f"{answer.required} ({answer.skill})" for answer in told.matched if answer.kind == "close"]
        lists = ([answer.required for answer in told.matched if answer.kind == "exact"], close)
        cells = [one.rank, one.id, one.title, one.language, one.match_percent]
        cells += ["; ".join(names) for names in (*lists, told.missing, told.missing_optional)]
        cells += [one.status, one.note, "yes" if one.is_changed else ""]
        yield csv_line([*cells, *(one.values.get(name, "") for name in columns)])


def offered(screening: Screening) -> list[str]:
    named = [one["name"] for one in screening.columns if one["kind"] == "number" or one["values"]]
    return named[:OFFERED_COLUMNS]


def json_lines(screening: Screening, results: Iterable[Result]) -> Iterator[str]:
    yield '{"screening": ' + json.dumps(screening_json(screening), ensure_ascii=False) + ', "profiles": ['
    for place, one in enumerate(results):
        yield (",\n" if place else "\n") + json.dumps(result_json(one), ensure_ascii=False)
    yield "\n]}\n"


def screening_json(screening: Screening) -> dict[str, Any]:
    """Return a screening as the API answers it."""
    names = ("id", "jobs", "job_id", "title", "profiles", "state", "done", "total", "made_at", "updated_at")
    values = {name: getattr(screening, name) for name in names}
    asked = [{"skill": name, "optional": optional} for name, _, optional in screening.asked]
    message = screening.message or None
    return values | {"job_id": screening.job_id or None, "asked": asked, "message": message}


def result_json(one: Result) -> dict[str, Any]:
    return {
        "rank": one.rank,
        "id": one.id,
        "title": one.title,
        "language": one.language,
        "score": round(one.score, 4),
        "match_percent": one.match_percent,
        **answers_json(one.answers),
        "status": one.status,
        "note": one.note,
        "changed": one.is_changed,
        "values": one.values,
    }


def answers_json(told: Answers) -> dict[str, Any]:
    return {
        "has": [_answer(one) for one in told.matched if one.kind == "exact"],
        "close": [_answer(one) | {"score": round(one.score, 4)} for one in told.matched if one.kind == "close"],
        "missing": list(told.missing),
        "missing_optional": list(told.missing_optional),
    }


def _answer(one: Answer) -> dict[str, Any]:
    """Return an answer; `below` where the person has less than the job asks, by level or years."""
    return {"required": one.required, "skill": one.skill, "optional": one.is_optional, "below": one.is_below}
