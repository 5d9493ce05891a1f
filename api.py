"""The JSON API: the same calls as the pages, described at /api/openapi.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from models import db
from operations.health import health, holdings, stats
from operations.history import KEPT
from operations.metrics import CONTENT_TYPE, exposition
from operations.monitoring import health_json, memory_json
from routes import is_token, searched, semantic, watch
from search.documents import Page, document_page, similar
from search.query import LAST_PAGE, LAST_VERSION, MODES, MOST_LIMIT, SORTS, Query
from search.results import Hit, Results
from search.suggestions import suggestions
from search.tag_index import tag_page

api = Blueprint("api", __name__)
OPENAPI = Path(__file__).parent / "static" / "openapi.json"
MOST_BODY_BYTES = 4 * 1024 * 1024  # a text of 1 MB may take three as JSON
BUSY_S = 5  # when to ask again, where the model has too many in its queue


class ApiError(Exception):
    """An answer that is not what was asked for: an HTTP status, a code and a sentence."""

    def __init__(self, status: int, code: str, message: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more or {}


def error_answer(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    answer = jsonify({"error": {"code": code, "message": message, **(more or {})}})
    answer.status_code = status
    answer.headers.update(headers or {})
    return answer


@api.errorhandler(ApiError)
def api_error(error: ApiError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    return error_answer(error.status, error.code, error.message, headers, error.more)


def http_error(error: HTTPException) -> Response:
    """Return an HTTP error in the API's shape; what the error says of headers is kept (Retry-After, Allow)."""
    status = error.code or 500
    kept = {name: value for name, value in error.get_headers() if name not in ("Content-Type", "Content-Length")}
    return error_answer(status, (error.name or "error").lower().replace(" ", "_"), error.description or "", kept)


@api.get("/api/search")
def api_search() -> Response:
    query = Query.from_args(request.args, checked("mode", MODES, "hybrid"))
    check_number("page", LAST_PAGE)
    check_number("limit", MOST_LIMIT)
    check_number("since", LAST_VERSION, 0, 0)
    checked("sort", SORTS, "score")
    results = searched(query)
    if query.mode == "semantic" and results.semantic_state == "busy":
        raise ServiceUnavailable("The model is busy with other searches; try again in a moment.", retry_after=BUSY_S)
    return jsonify(results_json(results))


def checked(name: str, allowed: tuple[str, ...], default: str) -> str:
    given = request.args.get(name) or default
    if given not in allowed:
        raise ApiError(422, "bad_parameter", f"{name}={given[:50]!r}: it must be one of {', '.join(allowed)}")
    return given


def check_number(name: str, most: int, default: int = 1, least: int = 1) -> int:
    given = request.args.get(name) or str(default)
    if not (given.isascii() and given.isdigit() and least <= int(given[:19]) <= most):
        raise ApiError(422, "bad_parameter", f"{name}={given[:50]!r}: it must be a whole number from {least} to {most}")
    return int(given)


def results_json(results: Results) -> dict[str, Any]:
    query = results.query
    return {
        "query": query.text,
        "mode": query.mode,
        "collection": query.collection or None,
        "page": query.page,
        "limit": query.limit,
        "total": results.total,
        "total_is_exact": results.total_is_exact,
        "took_ms": round(results.took_ms, 1),
        "semantic": {"state": results.semantic_state, "model": results.semantic_model},
        "hits": [hit_json(hit) for hit in results.hits],
        "facets": [asdict(facet) for facet in results.facets],
        "near_tags": [rounded(asdict(tag)) for tag in results.near_tags],
    }


def hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "collection": hit.collection,
        "title": hit.plain_title,
        "snippet": hit.plain_snippet,
        "tags": list(hit.tags),
        "language": hit.language,
        "url": hit.url,
        "score": hit.score,
        "why": {
            **rounded({"text": hit.why.text, "semantic": hit.why.semantic}),
            "tags": [rounded(asdict(tag)) for tag in hit.why.tags],
            "words": list(hit.why.words),
        },
    }


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}


@api.get("/api/documents/<path:own_id>")
def api_document(own_id: str) -> Response:
    return jsonify(page_json(stored(own_id)))


def stored(own_id: str) -> Page:
    found = document_page(db.session(), own_id, request.args.get("collection", ""))
    if found is None:
        raise ApiError(404, "not_found", f"There is no document {own_id[:100]!r}.")
    return found


def page_json(page: Page) -> dict[str, Any]:
    values = asdict(page)
    del values["number"]
    return values | {"tags": list(page.tags)}


@api.get("/api/documents/<path:own_id>/similar")
def api_similar(own_id: str) -> Response:
    limit = check_number("limit", 20, 10)
    found = similar(db.session(), stored(own_id).number, semantic(), limit)
    state = {"state": "ready" if semantic().compares_stored else semantic().state, "model": semantic().lazy.model}
    return jsonify({"hits": [hit_json(hit) for hit in found], "semantic": state})


@api.get("/api/suggest")
def api_suggest() -> Response:
    return jsonify({"suggestions": [asdict(one) for one in suggestions(db.session(), request.args.get("q", ""))]})


@api.get("/api/tags")
def api_tags() -> Response:
    page, limit = check_number("page", LAST_PAGE), check_number("limit", 500, 100)
    collection = request.args.get("collection", "")
    found = tag_page(db.session(), request.args.get("prefix", "")[:200], collection, page, limit)
    tags = [asdict(tag) for tag in found.tags]
    return jsonify({"tags": tags, "total": found.total, "total_is_exact": found.total_is_exact})


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
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not is_token(token.strip()):
        raise ApiError(401, "unauthorized", "Send the admin token: Authorization: Bearer TOKEN")


def body_fields() -> dict[str, Any]:
    if not request.is_json:
        raise ApiError(415, "unsupported_media_type", "Send JSON, as application/json.")
    request.max_content_length = MOST_BODY_BYTES
    try:
        fields = request.get_json(silent=True)
        # What Python reads and no database stores: NaN, infinities, half a surrogate pair.
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ApiError(400, "bad_json", "The body is not a JSON object of text and finite numbers.")
    return fields


@api.get("/health")
def api_health() -> tuple[Response, int]:
    found = holdings(db.session(), semantic())
    return jsonify(health(semantic(), watch().memory(), found)), 200 if found else 503


@api.get("/livez")
def api_livez() -> Response:
    return Response("ok", mimetype="text/plain")


@api.get("/api/monitoring/health")
def api_monitoring_health() -> tuple[Response, int]:
    figures = watch().figures()
    found = holdings(db.session(), semantic())
    return jsonify(health_json(figures, found)), 200 if found else 503


@api.get("/api/monitoring/memory")
def api_monitoring_memory() -> Response:
    """Answer without the database, so that memory can be looked at while that is gone."""
    samples = check_number("samples", KEPT) if request.args.get("samples") else 0
    return jsonify(memory_json(watch().figures(), watch().history, samples))


@api.get("/metrics")
def api_metrics() -> Response:
    figures = watch().figures()
    return Response(exposition(figures, holdings(db.session(), semantic())), content_type=CONTENT_TYPE)


@api.get("/api/stats")
def api_stats() -> Response:
    return jsonify(stats(db.session(), semantic()))


@api.get("/api/openapi.json")
def api_openapi() -> Response:
    return jsonify(json.loads(OPENAPI.read_text(encoding="utf-8")))
