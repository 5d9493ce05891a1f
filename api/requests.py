"""Reads API requests: parameters, JSON bodies and the admin token."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import request

from web.access import is_bearer
from web.errors import ApiError


def choice_arg(name: str, allowed: tuple[str, ...], default: str) -> str:
    given = request.args.get(name) or default
    if given not in allowed:
        raise ApiError(422, "bad_parameter", f"{name}={given[:50]!r}: it must be one of {', '.join(allowed)}")
    return given


def check_number(name: str, most: int, default: int = 1, least: int = 1) -> int:
    given = request.args.get(name) or str(default)
    if not (given.isascii() and given.isdigit() and least <= int(given[:19]) <= most):
        raise ApiError(422, "bad_parameter", f"{name}={given[:50]!r}: it must be a whole number from {least} to {most}")
    return int(given)


def text_of(fields: Mapping[str, Any], name: str, default: str = "") -> str:
    given = fields.get(name)
    if given is not None and not isinstance(given, str):
        raise ApiError(422, "bad_parameter", f"{name} must be a text")
    return given or default


def text_list(fields: Mapping[str, Any], name: str) -> list[str]:
    given = fields.get(name) or []
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ApiError(422, "bad_parameter", f"{name} must be a list of texts")
    return given


def need_admin() -> None:
    if not is_bearer():
        raise ApiError(401, "unauthorized", "Send the admin token: Authorization: Bearer TOKEN")


def body_fields() -> dict[str, Any]:
    if not request.is_json:
        raise ApiError(415, "unsupported_media_type", "Send JSON, as application/json.")
    try:
        fields = request.get_json(silent=True)
        # What Python reads and no database stores: NaN, infinities, half a surrogate pair.
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ApiError(400, "bad_json", "The body is not a JSON object of text and finite numbers.")
    return fields
