"""Errors as HTTP responses: JSON for the API, a page for everything else."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify, render_template, request
from flask_babel import gettext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import (
    HTTPException,
    InternalServerError,
    RequestEntityTooLarge,
    ServiceUnavailable,
    default_exceptions,
)

from indexes.segments import SegmentDamaged
from search.query import Query
from utils.database_faults import Fault, database_fault
from utils.messages import MESSAGES, N_, Refusal
from web.current import runtime

RETRY_S = 5
JSON_PATHS = ("/health", "/livez", "/metrics", "/mcp")
# By key of MESSAGES or by code; the others are 422.
STATUS = {
    "ambiguous": 409, "bad_document.text": 413, "full": 409, "keys_meet": 409, "no_collection": 404, "no_room": 409,
    "not_found": 404, "too_much.note": 413, "too_much.text": 413,
}  # fmt: skip
DATABASE_FAULTS: dict[Fault, str] = {
    "unreachable": N_("The database does not answer just now. Try again in a few seconds."),
    "damaged": N_("The database is damaged. The site's operator has to restore a backup."),
    "full": N_("The disk is full: you can search, but nothing can be stored now."),
    "read_only": N_("The database is read-only now: you can search, but nothing can be stored."),
    "no_tables": N_("The database is not set up yet. The site's operator has to create its tables."),
}
log = logging.getLogger("matmon")
Answer = Response | tuple[str, int, dict[str, str]]


class ApiError(Exception):
    """An API error: an HTTP status, a code and a sentence that says what to do."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def register(app: Flask) -> None:
    app.register_error_handler(ApiError, api_error)
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(InternalServerError, unexpected_error)
    app.register_error_handler(SegmentDamaged, damaged_index)
    for error in (DBAPIError, NoConnectionFree):
        app.register_error_handler(error, database_error)


def api_error(error: ApiError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return error_json(error.status, error.code, error.message, headers)


def http_status(error: Refusal) -> int:
    return STATUS.get(error.key) or STATUS.get(error.code, 422)


def translated(error: Refusal) -> str:
    """Return the message of a refusal in the language of the interface."""
    values = {name: translated(value) if isinstance(value, Refusal) else value for name, value in error.values.items()}
    return str(gettext(MESSAGES[error.key], **values))


def refused(error: Refusal) -> Answer:
    """Return a refusal that no view handled."""
    status = http_status(error)
    if not (request.path.startswith("/api/") or request.path in JSON_PATHS):
        return http_error(default_exceptions[status](translated(error)))
    choices = [{"id": own_id, "title": title} for own_id, title in getattr(error, "choices", ())]
    return error_json(status, error.code, str(error), more={"choices": choices} if choices else None)


def http_error(error: HTTPException) -> Answer:
    """Return an HTTP error as JSON or as a page; headers such as Retry-After and Allow are kept."""
    if isinstance(error, RequestEntityTooLarge):
        error.description = f"The request is larger than {(request.max_content_length or 0) // 1024:,} KB: send less."
    if request.path.startswith("/api/") or request.path in JSON_PATHS:
        headers = {name: value for name, value in error.get_headers() if name not in ("Content-Type", "Content-Length")}
        code = (error.name or "error").lower().replace(" ", "_")
        return error_json(error.code or 500, code, error.description or "", headers)
    headers = {name: value for name, value in error.get_headers() if name in ("Retry-After", "Allow", "Location")}
    return render_template("error.html", error=error, query=Query()), error.code or 500, headers


class DatabaseUnavailable(ServiceUnavailable):
    """A fault of the database, in the language of the interface on pages, and in English for the API."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(DATABASE_FAULTS[fault], retry_after=RETRY_S)
        self.fault = fault


def database_error(error: DBAPIError | NoConnectionFree) -> Answer:
    """Return 503 for a fault of the database; an error of ours is raised again."""
    cause = getattr(error, "orig", error)
    fault = "unreachable" if isinstance(error, NoConnectionFree) else database_fault(cause)
    if not fault:
        raise error
    log.error("the database does not answer: %s", str(cause)[:300])
    return http_error(DatabaseUnavailable(fault))


def damaged_index(error: SegmentDamaged) -> Answer:
    """Return 503 for postings that are none, and have `/health` say so."""
    runtime().database.note("damaged")
    log.error("%s", error, exc_info=error)
    return http_error(DatabaseUnavailable("damaged"))


def unexpected_error(error: InternalServerError) -> Answer:
    """Return 500; but 503 if the database is damaged, since what is read from it may then be anything."""
    return http_error(DatabaseUnavailable("damaged") if runtime().database.is_damaged() else error)


def error_json(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    response = jsonify({"error": {"code": code, "message": message, **(more or {})}})
    response.status_code = status
    response.headers.update(headers or {})
    return response
