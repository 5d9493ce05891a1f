"""JSON from outside: depth, count and numbers are bounded, in every place that reads it, without a fault."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from indexing.importing import import_file
from indexing.layout import Options
from indexing.reading import rows
from tests.conftest import site_of_one, sqlite_alone
from tests.visits import BEARER
from utils.bounded_json import MOST_DEPTH, MOST_DIGITS, MOST_VALUES, TooComplex, parse_json

database = sqlite_alone
site = site_of_one


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + closing * depth


BAD = {
    "deep lists": nested(100_000),
    "a little too deep": nested(MOST_DEPTH + 1),
    "deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "deep and mixed": nested(20_000, '[{"a":', "}]"),
    "unclosed": "[" * 100_000,
    "many values": "[" + "1," * MOST_VALUES + "1]",
    "many lists": "[" + "[]," * MOST_VALUES + "[]]",
    "many members": "{" + ",".join(f'"{number}":1' for number in range(MOST_VALUES + 1)) + "}",
    "not a number": "NaN",
    "infinite": "-Infinity",
    "too large a float": "1e999",
    "too large an integer": "9" * (MOST_DIGITS + 1),
    "far too large an integer": "9" * 10_000,
}
GOOD = {
    "brackets in a text": json.dumps("[" * 1_000 + '"\\' + "{" * 1_000),
    "as deep as may be": nested(MOST_DEPTH - 1),
    "a large integer": "9" * MOST_DIGITS,
    "a large float": "1e308",
    "commas in a text": json.dumps("," * (2 * MOST_VALUES)),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own sentence
        parse_json(text)


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_the_rest_is_read_as_it_is(text: str) -> None:
    assert parse_json(text) == json.loads(text)


def test_depth_and_count_are_those_of_the_value() -> None:
    """Whatever a text holds, it is refused exactly if its value is too deep or too large."""
    chance = random.Random(7)

    def value(depth: int) -> Any:
        if depth == 0 or chance.random() < 0.2:
            return chance.choice(['"', "\\", '\\"[', "{" * 40, 1, None, "א" * 50])
        if chance.random() < 0.5:
            return [value(depth - 1) for _ in range(chance.randint(0, 3))]
        return {
            chance.choice(["a", '"', "[\\"]) + str(place): value(depth - 1) for place in range(chance.randint(0, 3))
        }

    def depth_of(parsed: Any) -> int:
        inner = parsed.values() if isinstance(parsed, dict) else parsed if isinstance(parsed, list) else None
        return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)

    texts = [json.dumps(value(12)) for _ in range(300)]
    for added in (0, 15, 25, 32):
        for text in texts:
            deeper = "[" * added + text + "]" * added
            if depth_of(json.loads(deeper)) > MOST_DEPTH:
                with pytest.raises(TooComplex):
                    parse_json(deeper)
            else:
                assert parse_json(deeper) == json.loads(deeper)


def test_no_text_takes_long_to_refuse() -> None:
    began = time.thread_time()
    for text in ('"' * 1_000_000, '\\"' * 500_000, '["' + '\\"' * 500_000 + "\\", "[" * 1_000_000, '",' * 500_000):
        with pytest.raises(ValueError):  # noqa: PT011 - each has its own sentence
            parse_json(text)
    assert time.thread_time() - began < 20  # looking again from each quote would take hours


PLACES = (
    ("POST", "/api/recommend", "skills"), ("POST", "/api/skill-gap", "title"), ("POST", "/api/compare", "skills"),
    ("POST", "/api/screenings", "text"), ("POST", "/api/searches", "address"), ("POST", "/api/documents", "extra"),
    ("PUT", "/api/documents/2", "extra"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path", "field"), PLACES)
def test_the_api_refuses_it_with_a_reason(site: FlaskClient, method: str, path: str, field: str) -> None:
    for name, text in BAD.items():
        if len(text) > 250_000:
            continue  # refused for its size
        body = f'{{"title": "a", "{field}": {text}}}'
        answer = site.open(path, method=method, data=body, content_type="application/json", headers=BEARER)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "bad_json"), name


@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_an_import_refuses_the_row_with_a_reason_and_keeps_the_others(
    session: Session, tmp_path: Path, kind: str
) -> None:
    texts = [text for text in BAD.values() if text != BAD["unclosed"]]
    lines = ['{"title": "first"}', *(f'{{"title": "a", "more": {text}}}' for text in texts), '{"title": "last"}']
    path = tmp_path / f"a.{kind}"
    path.write_text("\n".join(lines) if kind == "jsonl" else f"[{','.join(lines)}]")
    read = list(rows(path))
    assert [row.line for row in read] == list(range(1, len(lines) + 1))
    assert [row.fields for row in read if row.fields] == [{"title": "first"}, {"title": "last"}]
    reasons = " ".join(row.reason for row in read)
    assert "nested deeper than 32 levels" in reasons
    assert "more than 20000 values" in reasons
    report = import_file(session, path, Options("a"))
    assert (report.written.new, report.refused) == (2, len(texts))
