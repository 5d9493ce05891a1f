"""The JSON API: the same calls as the pages, described at /api/openapi.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request, url_for
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from indexing.documents import KeysMeet, delete_documents, write_documents
from indexing.importing import Options, RowRefused
from indexing.importing import document as as_document
from indexing.jobs import is_cut_off
from indexing.reading import FileUnusable
from indexing.uploads import accept, upload_path
from matching.answers import gap_json, recommendations_json
from matching.bounds import MOST_JOBS, TooMuch
from matching.gap import NoSuchJob, SeveralJobs, gap, job_by_id, job_by_title
from matching.recommend import recommend
from models import Job, db
from operations.health import health, holdings, stats
from operations.history import KEPT
from operations.metrics import CONTENT_TYPE, exposition
from operations.monitoring import health_json, memory_json
from routes import is_token, searched, semantic, skill_aliases, upload_folder, watch
from search.documents import Page, document_page, similar
from search.facets import tag_page
from search.query import LAST_PAGE, MODES, MOST_LIMIT, SORTS, Query, clean
from search.results import Hit, Results
from search.suggestions import suggestions

api = Blueprint("api", __name__)
OPENAPI = Path(__file__).parent / "static" / "openapi.json"
MOST_BODY_BYTES = 4 * 1024 * 1024  # a text of 1 MB may take three as JSON
BUSY_S = 5  # when to ask again, where the model has too many in its queue
OURS = frozenset({"added_at", "changed_at"})  # in a document's answer: the answer can be sent back as it is


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


def check_number(name: str, most: int, default: int = 1) -> int:
    given = request.args.get(name) or str(default)
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= most):
        raise ApiError(422, "bad_parameter", f"{name}={given[:50]!r}: it must be a whole number from 1 to {most}")
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
    return jsonify({"tags": [asdict(tag) for tag in found.tags], "total": found.total})


@api.post("/api/recommend")
def api_recommend() -> Response:
    """Return the jobs that fit skills and a text best."""
    fields = body_fields()
    names, said, collection = (
        text_list(fields, "skills"),
        text_of(fields, "text"),
        text_of(fields, "collection", "jobs"),
    )
    limit = fields.get("limit", 10)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MOST_JOBS:
        raise ApiError(422, "bad_parameter", f"limit must be a whole number from 1 to {MOST_JOBS}")
    try:
        found = recommend(db.session(), semantic(), collection, names, said, limit, skill_aliases())
    except TooMuch as error:
        raise too_much(error) from None
    if not found.documents:
        raise ApiError(404, "not_found", f"There is no collection {collection[:64]!r} with documents.")
    return jsonify(recommendations_json(found, semantic()))


@api.post("/api/skill-gap")
def api_skill_gap() -> Response:
    """Return what of one job's skills a person has."""
    fields = body_fields()
    names, collection = text_list(fields, "skills"), text_of(fields, "collection", "jobs")
    own_id, title = text_of(fields, "document_id"), text_of(fields, "title")
    if bool(own_id.strip()) == bool(title.strip()):
        raise ApiError(422, "bad_parameter", "name the job by document_id or by title, one of them")
    try:
        job = job_by_id(db.session(), collection, own_id) if own_id else job_by_title(db.session(), collection, title)
        found = gap(db.session(), semantic(), collection, job, names, skill_aliases())
    except NoSuchJob as error:
        raise ApiError(404, "not_found", str(error)) from None
    except SeveralJobs as error:
        choices = [{"id": one, "title": name} for one, name in error.choices]
        raise ApiError(409, "ambiguous", str(error), {"choices": choices}) from None
    except TooMuch as error:
        raise too_much(error) from None
    return jsonify(gap_json(found, semantic()))


def too_much(error: TooMuch) -> ApiError:
    return ApiError(413 if error.code == "text" else 422, "too_much", str(error))


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


@api.post("/api/documents")
def api_create() -> tuple[Response, int]:
    need_admin()
    return write(body_fields())


@api.put("/api/documents/<path:own_id>")
def api_replace(own_id: str) -> tuple[Response, int]:
    need_admin()
    return write(body_fields() | {"id": own_id})


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


def write(fields: dict[str, Any]) -> tuple[Response, int]:
    named = fields.pop("collection", None)
    name = clean(request.args.get("collection") or str(named or ""))[:64] or "documents"
    extra = {} if (given := fields.pop("extra", None)) is None else given
    if not isinstance(extra, dict):
        raise ApiError(422, "bad_document", "extra must be an object")
    try:
        document = as_document(fields, Options(name, drop=OURS))
        document = replace(document, extra=extra | document.extra)
        written = write_documents(db.session(), name, [document])
    except (RowRefused, FileUnusable) as error:
        raise ApiError(413 if "over 1 MB" in str(error) else 422, "bad_document", str(error)) from None
    except KeysMeet as error:
        raise ApiError(409, "keys_meet", str(error)) from None
    found = document_page(db.session(), document.own_id, name)
    assert found is not None  # noqa: S101 - it was written a line ago
    return jsonify(page_json(found)), 201 if written.new else 200


@api.delete("/api/documents/<path:own_id>")
def api_delete(own_id: str) -> tuple[str, int]:
    need_admin()
    delete_documents(db.session(), [stored(own_id).number])
    return "", 204


@api.post("/api/import")
def api_import() -> tuple[Response, int]:
    """Take a file of documents and import it behind the answer."""
    need_admin()
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        raise ApiError(422, "no_file", "Send the file as the field 'file' of multipart/form-data.")
    try:
        job = accept(db.session(), upload_folder(), upload.filename, upload.save, form_options())
    except FileUnusable as error:
        raise ApiError(422, error.code, str(error)) from None
    current_app.extensions["matmon.start_job"](job.id, upload_path(upload_folder(), job))
    address = url_for("api.api_import_state", number=job.id)
    return jsonify({"id": job.id, "address": address}), 202


def form_options() -> Options:
    form = request.form
    pairs = [pair.split("=", 1) for pair in form.getlist("map") if "=" in pair]
    return Options(
        collection=clean(form.get("collection", ""))[:64] or "documents",
        mapping=dict(pairs),
        tag_separator=form.get("tag_separator") or None,
        drop=frozenset(form.getlist("drop")),
    )


@api.get("/api/import/<int(max=9007199254740991):number>")
def api_import_state(number: int) -> Response:
    need_admin()
    job = db.session.get(Job, number)
    if job is None:
        raise ApiError(404, "not_found", "There is no such import.")
    values = {name: getattr(job, name) for name in ("id", "name", "state", "done", "total", "report")}
    return jsonify(values | {"cut_off": is_cut_off(job)})


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
