"""Limits on request bodies, declared next to each view and enforced before the body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request

from web.access import bearer, caller

JSON_BYTES = 256 * 1024  # a text of 100,000 Hebrew letters in UTF-8 fits
FORM_BYTES = 1024 * 1024
DOCUMENT_BYTES = 4 * 1024 * 1024  # a text of 1 MB may take three as JSON
UPLOAD_BYTES = 256 * 1024 * 1024
View = TypeVar("View", bound=Callable[..., Any])


def body_limit(most_bytes: int) -> Callable[[View], View]:
    """Allow a larger body to whoever may write; for others the usual limit holds."""

    def mark(view: View) -> View:
        view.body_limit = most_bytes  # type: ignore[attr-defined]
        return view

    return mark


def register(app: Flask) -> None:
    app.before_request(set_limit)


def set_limit() -> None:
    """Set the limit of this request; Flask answers 413 before it reads more."""
    is_api = request.path.startswith("/api/") or request.path == "/mcp"
    limit = JSON_BYTES if is_api else FORM_BYTES
    larger = getattr(current_app.view_functions.get(request.endpoint or ""), "body_limit", 0)
    if larger and (bearer() if is_api else caller()).has("write"):
        limit = larger
    request.max_content_length = min(limit, current_app.config["MAX_CONTENT_LENGTH"] or limit)
