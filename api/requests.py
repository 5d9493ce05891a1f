"""Reads API requests: parameters, JSON bodies, and which collection may be written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import request

from utils.bounded_json import parse_json
from web.access import bearer, is_admin, refusal
from web.errors import ApiError

REPEATED = ("skill", "not_skill")
MOST_REPEATED = 20
# Characters, by parameter. What is searched for is not here: any text is a query, and what is too much is cut.
LONGEST_ARGUMENTS = {"collection": 64, "language": 16, "status": 200, "id": 255} | dict.fromkeys(REPEATED, 200)
LONGEST_COLLECTION, LONGEST_LANGUAGE, LONGEST_OWN_ID = (
    LONGEST_ARGUMENTS[name] for name in ("collection", "language", "id")
)
BAD_JSON = "The body must be a JSON object of text and finite numbers."


def choice_arg(name: str, allowed: tuple[str, ...], default: str) -> str:
    value = request.args.get(name) or default
    if value not in allowed:
        raise ApiError(422, "bad_parameter", f"{name}={value[:50]!r}: it must be one of {', '.join(allowed)}")
    return value


def check_number(name: str, most: int, default: int = 1, least: int = 1) -> int:
    text = request.args.get(name, str(default))
    if len(request.args.getlist(name)) > 1:
        raise ApiError(422, "bad_parameter", f"{name} is given more than once")
    if not (text.isascii() and text.isdigit() and least <= int(text[:19]) <= most):
        raise ApiError(422, "bad_parameter", f"{name}={text[:50]!r}: it must be a whole number from {least} to {most}")
    return int(text)


def text_of(fields: Mapping[str, Any], name: str, default: str = "", most: int | None = None) -> str:
    """Return a text of a body; raises ApiError if it is none, or longer than `most` characters."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ApiError(422, "bad_parameter", f"{name} must be a string")
    check_length(name, value or "", most)
    return value or default


def text_list(fields: Mapping[str, Any], name: str) -> list[str]:
    values = [] if fields.get(name) is None else fields[name]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ApiError(422, "bad_parameter", f"{name} must be a list of strings")
    return values


def check_length(name: str, text: str, most: int | None) -> None:
    if most is not None and len(text) > most:
        raise ApiError(422, "bad_parameter", f"{name} has {len(text)} characters: at most {most} are allowed")


def check_arguments() -> None:
    """Refuse parameters of the API that are too long or given too often; a page cuts them instead."""
    if not (request.blueprint or "").startswith("api_"):
        return
    for name, most in LONGEST_ARGUMENTS.items():
        values = request.args.getlist(name)
        for value in values:
            check_length(name, value, most)
        if name in REPEATED and len(values) > MOST_REPEATED:
            raise ApiError(422, "bad_parameter", f"{name} is given {len(values)} times: at most {MOST_REPEATED} count")


def need_admin() -> None:
    if not is_admin():
        raise refusal(bearer(), "admin")


def check_may_write(collection: str) -> None:
    if not bearer().may_write(collection):
        raise ApiError(403, "forbidden", f"This key is for other collections than {collection[:64]!r}.")


def body_fields() -> dict[str, Any]:
    if not request.is_json:
        raise ApiError(415, "unsupported_media_type", "Send JSON, as application/json.")
    try:
        fields = parse_json(request.get_data(cache=False).decode("utf-8-sig"))
        # Python reads half a surrogate pair, and no database stores it.
        json.dumps(fields, ensure_ascii=False).encode()
    except ValueError as error:
        raise ApiError(400, "bad_json", f"{BAD_JSON} This one cannot be read: {str(error)[:200]}.") from None
    if not isinstance(fields, dict):
        raise ApiError(400, "bad_json", BAD_JSON)
    return fields
