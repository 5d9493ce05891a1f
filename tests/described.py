"""The API's description as the tests use it: what it says of each answer, and whether an answer is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from config import ROOT

METHODS = ("get", "put", "post", "delete")
DOCUMENT: Any = json.loads((ROOT / "static" / "openapi.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    id: str
    path: str
    method: str
    responses: dict[str, Any]
    body: dict[str, Any] | None


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the description, or what it refers to."""
    if "$ref" not in part:
        return part
    found: Any = DOCUMENT
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return resolved(found)


def operations() -> Iterator[Operation]:
    for path, methods in DOCUMENT["paths"].items():
        for method in METHODS:
            if one := methods.get(method):
                responses = {status: resolved(response) for status, response in one["responses"].items()}
                body = resolved(one["requestBody"]) if "requestBody" in one else None
                yield Operation(one["operationId"], path, method, responses, body)


OPERATIONS = {one.id: one for one in operations()}


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """Return what of a value is not as the schema has it."""
    return [f"{error.json_path}: {error.message[:300]}" for error in validator(schema).iter_errors(value)]


def check(answer: TestResponse, operation: str, status: int) -> Any:
    """Assert that an answer is described, headers and body, and return its body."""
    response = OPERATIONS[operation].responses[str(status)]
    assert answer.status_code == status, answer.get_data(as_text=True)[:500]
    for name, header in response.get("headers", {}).items():
        given = answer.headers[name]
        value = int(given) if header["schema"]["type"] == "integer" else given
        assert faults(header["schema"], value) == []
    if "content" not in response:
        assert answer.data == b""
        return None
    content = response["content"][answer.mimetype]
    body = json.loads(answer.data) if answer.mimetype == "application/json" else answer.get_data(as_text=True)
    assert faults(content["schema"], body) == []
    return body
