"""The API that writes documents and imports files; it asks for the admin token."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.requests import body_fields, check_number, need_admin
from indexing.documents import DocumentKeyCollision, delete_documents, write_documents
from indexing.importing import Options, RowRefused
from indexing.importing import parsed_document as as_document
from indexing.reading import FileUnusable
from models import db
from search.documents import DocumentPage, document_page, similar
from search.query import clean_text
from search.results import hit_json
from web.body_limits import DOCUMENT_BYTES, body_limit
from web.current import runtime, semantic
from web.errors import ApiError
from web.rate_limits import rate_limit

document_api = Blueprint("api_documents", __name__)

OURS = frozenset({"added_at", "changed_at"})  # in a document's answer: the answer can be sent back as it is


@document_api.post("/api/documents")
@body_limit(DOCUMENT_BYTES)
def api_create() -> tuple[Response, int]:
    need_admin()
    return write(body_fields())


@document_api.put("/api/documents/<path:own_id>")
@body_limit(DOCUMENT_BYTES)
def api_replace(own_id: str) -> tuple[Response, int]:
    need_admin()
    return write(body_fields() | {"id": own_id})


def write(fields: dict[str, Any]) -> tuple[Response, int]:
    named = fields.pop("collection", None)
    name = clean_text(request.args.get("collection") or str(named or ""))[:64] or "documents"
    extra = {} if (given := fields.pop("extra", None)) is None else given
    if not isinstance(extra, dict):
        raise ApiError(422, "bad_document", "extra must be an object")
    try:
        document = as_document(fields, Options(name, drop=OURS))
        document = replace(document, extra=extra | document.extra)
        written = write_documents(db.session(), name, [document])
        if written.new or written.changed:
            runtime().embed_soon(db.session())
    except (RowRefused, FileUnusable) as error:
        raise ApiError(413 if "over 1 MB" in str(error) else 422, "bad_document", str(error)) from None
    except DocumentKeyCollision as error:
        raise ApiError(409, "keys_meet", str(error)) from None
    document_page_ = document_page(db.session(), document.own_id, name)
    assert document_page_ is not None  # noqa: S101 - it was written a line ago
    return jsonify(page_json(document_page_)), 201 if written.new else 200


@document_api.delete("/api/documents/<path:own_id>")
def api_delete(own_id: str) -> tuple[str, int]:
    need_admin()
    delete_documents(db.session(), [stored(own_id).number])
    return "", 204


@document_api.get("/api/documents/<path:own_id>")
def api_document(own_id: str) -> Response:
    return jsonify(page_json(stored(own_id)))


def stored(own_id: str) -> DocumentPage:
    page = document_page(db.session(), own_id, request.args.get("collection", ""))
    if page is None:
        raise ApiError(404, "not_found", f"There is no document {own_id[:100]!r}.")
    return page


def page_json(page: DocumentPage) -> dict[str, Any]:
    values = asdict(page)
    del values["number"]
    return values | {"tags": list(page.tags)}


@document_api.get("/api/documents/<path:own_id>/similar")
@rate_limit("search")
def api_similar(own_id: str) -> Response:
    limit = check_number("limit", 20, 10)
    hits = similar(db.session(), stored(own_id).number, semantic(), limit)
    state = {"state": "ready" if semantic().compares_stored else semantic().state, "model": semantic().lazy.model}
    return jsonify({"hits": [hit_json(hit) for hit in hits], "semantic": state})
