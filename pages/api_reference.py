"""The API as a page that people read and try, made of the description that programs read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, current_app, render_template, request

from search.query import Query

reference_pages = Blueprint("reference", __name__)

METHODS = ("get", "post", "put", "delete")
Part = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApiField:
    """A parameter or a field of a body, as a reader needs it; `example` is what its box begins with."""

    name: str
    place: str  # `query`, `path` or `body`
    kind: str
    is_required: bool
    about: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One method of one path."""

    id: str
    method: str
    path: str
    summary: str
    about: str
    fields: tuple[ApiField, ...]
    curl: str
    answers: tuple[tuple[str, str], ...]
    answer_example: str

    @property
    def can_be_tried(self) -> bool:
        """True if a form can send it: what only reads, with nothing but parameters of the query."""
        return self.method == "GET" and all(field.place == "query" for field in self.fields)


@reference_pages.get("/api")
def api_reference() -> str:
    """Show the API, by subject. The description is parsed each time: kept, it would cost a megabyte."""
    with current_app.open_resource("static/openapi.json") as file:
        described = json.load(file)
    operations = [*_operations(described, request.host_url.rstrip("/"))]
    groups = [(tag["name"], tag["description"], [one for subject, one in operations if subject == tag["name"]])
              for tag in described["tags"]]  # fmt: skip
    about = described["info"]["description"].split("\n\n")
    return render_template("api.html", query=Query(), about=about, groups=groups)


def _operations(described: Part, site: str) -> Iterator[tuple[str, ApiOperation]]:
    for path, methods in described["paths"].items():
        shared = methods.get("parameters", [])
        for method in METHODS:
            if method in methods:
                one = methods[method]
                yield one["tags"][0], _operation(described, site, path, method, one, shared)


def _operation(described: Part, site: str, path: str, method: str, one: Part, shared: list[Part]) -> ApiOperation:
    fields = [_parameter(described, part) for part in (*shared, *one.get("parameters", []))]
    body = _resolved(described, one.get("requestBody", {})).get("content", {})
    sent = body.get("application/json", {})
    schema = _resolved(described, sent.get("schema", {}))
    required = schema.get("required", ())
    fields += [_field(described, name, "body", part, name in required)
               for name, part in schema.get("properties", {}).items()]  # fmt: skip
    answers = {status: _resolved(described, answer) for status, answer in one["responses"].items()}
    first: Part = next((content for answer in answers.values() for content in answer.get("content", {}).values()), {})
    shown = _example(first)
    return ApiOperation(
        one["operationId"], method.upper(), path, one["summary"], one.get("description", ""), tuple(fields),
        _curl(site, path, method, fields, _example(sent), "multipart/form-data" in body),
        tuple((status, answer["description"]) for status, answer in answers.items()),
        "" if shown is None else shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, indent=2),
    )  # fmt: skip


def _resolved(described: Part, part: Part) -> Part:
    """Return a part of the description, or what it refers to."""
    if "$ref" not in part:
        return part
    found: Any = described
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return _resolved(described, found)


def _example(part: Part) -> Any:
    """Return a part's example; the English one where there are several."""
    if "example" in part:
        return part["example"]
    several = part.get("examples", {})
    chosen = several.get("english") or next(iter(several.values()), None)
    return chosen["value"] if chosen else None


def _parameter(described: Part, part: Part) -> ApiField:
    """Return a parameter; its box holds an example where one is needed, and the default where nothing is no value."""
    part = _resolved(described, part)
    schema = _resolved(described, part["schema"])
    is_required = part.get("required", False)
    field = _field(described, part["name"], part["in"], schema, is_required)
    value = None
    if is_required or field.name == "q":
        value = _example(part)
    elif schema.get("type") == "integer":
        value = schema.get("default", schema.get("minimum"))
    return replace(field, about=part.get("description", field.about), example=_typed(value))


def _field(described: Part, name: str, place: str, schema: Part, is_required: bool) -> ApiField:
    schema = _resolved(described, schema)
    kind = schema.get("type", "")
    kinds = [one for one in (kind if isinstance(kind, list) else [kind]) if one and one != "null"]
    limits = ", ".join(str(one) for one in schema.get("enum", ()) if one) or " or ".join(kinds)
    default = schema.get("default")
    if default not in (None, ""):
        limits += f"; {_typed(default)} if left out"
    return ApiField(name, place, limits, is_required, schema.get("description", ""))


def _typed(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _curl(site: str, path: str, method: str, fields: list[ApiField], body: object, is_upload: bool) -> str:
    """Return a command that makes the request, with the examples of the description."""
    for field in fields:
        if field.place == "path":
            path = path.replace(f"{{{field.name}}}", quote(field.example) or field.name.upper())
    asked = {
        field.name: field.example for field in fields if field.place == "query" and not field.kind.startswith("integer")
    }
    query = urlencode({name: value for name, value in asked.items() if value})
    says_method = method in ("put", "delete") or (method == "post" and body is None and not is_upload)
    words = ["curl", *(["-X", method.upper()] if says_method else [])]
    words.append(f"{site}{path}" + (f"?{query}" if query else ""))
    if is_upload:
        words += ["-F", "file=@books.csv", "-F", "collection=books"]
    elif body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body, ensure_ascii=False)]
    return shlex.join(words)
