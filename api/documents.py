"""The documents API: read, write and delete one document; writing needs a key that may write."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from api.requests import (
    LONGEST_COLLECTION,
    LONGEST_LANGUAGE,
    LONGEST_OWN_ID,
    body_fields,
    check_length,
    check_may_write,
    check_number,
    text_of,
)
from indexing.tag_cells import LONGEST_TAG, MOST_TAGS
from models import db
from search.documents import DocumentPage, document_page, similar
from search.query import clean_text
from search.results import hit_json
from web.access import needs
from web.addresses import requested_id
from web.body_limits import DOCUMENT_BYTES, body_limit
from web.current import semantic, semantic_json
from web.documents import remove_document, save_document
from web.errors import ApiError
from web.rate_limits import rate_limit

document_api = Blueprint("api_documents", __name__)

TEXT_FIELDS = ("id", "title", "body", "description", "language", "source", "url", "licence", "license")
TAG_FIELDS = ("tags", "skills")
TAG_TYPES = (str, int, float, type(None))


@document_api.post("/api/documents")
@body_limit(DOCUMENT_BYTES)
@needs("write")
def api_create() -> tuple[Response, int]:
    return write(body_fields())


@document_api.put("/api/documents/<own_id:own_id>")
@document_api.put("/api/documents")
@body_limit(DOCUMENT_BYTES)
@needs("write")
def api_replace(own_id: str = "") -> tuple[Response, int]:
    fields = body_fields()
    check_fields(fields)
    check_length("id", str(fields.get("id", "")), LONGEST_OWN_ID)
    return write(fields | {"id": id_or_422(own_id)})


def write(fields: dict[str, Any]) -> tuple[Response, int]:
    """Store a document and return it; raises RowRefused and DocumentKeyCollision."""
    named = text_of(fields, "collection", most=LONGEST_COLLECTION)
    fields.pop("collection", None)
    name = clean_text(request.args.get("collection") or named) or "documents"
    check_may_write(name)
    check_fields(fields)
    extra = {} if (given := fields.pop("extra", None)) is None else given
    if not isinstance(extra, dict):
        raise ApiError(422, "bad_document", "extra must be an object")
    stored, is_new = save_document(name, fields, extra)
    return jsonify(page_json(stored)), 201 if is_new else 200


def check_fields(fields: dict[str, Any]) -> None:
    """Refuse what an import would turn into a text or cut; raises ApiError."""
    if isinstance(fields.get("id"), bool):
        raise ApiError(422, "bad_document", "id must be a string")
    for name in TEXT_FIELDS:
        if isinstance(fields.get(name), list | dict):
            raise ApiError(422, "bad_document", f"{name} must be a string")
    for name in TAG_FIELDS:
        tags = fields.get(name)
        parts = tags if isinstance(tags, list) else []
        if isinstance(tags, dict) or not all(type(part) in TAG_TYPES for part in parts):
            raise ApiError(422, "bad_document", f"{name} must be a list of strings")
        for part in parts:
            check_length(f"a tag in {name}", str(part), LONGEST_TAG)
        if len(parts) > MOST_TAGS:
            raise ApiError(422, "bad_document", f"{name} has {len(parts)} entries: at most {MOST_TAGS} are allowed")
    language = text_of(fields, "language")
    check_length("language", language, LONGEST_LANGUAGE)


@document_api.delete("/api/documents/<own_id:own_id>")
@document_api.delete("/api/documents")
@needs("write")
def api_delete(own_id: str = "") -> tuple[str, int]:
    document = document_or_404(own_id)
    check_may_write(document.collection)
    remove_document(document)
    return "", 204


@document_api.get("/api/documents/<own_id:own_id>")
@document_api.get("/api/documents")
def api_document(own_id: str = "") -> Response:
    return jsonify(page_json(document_or_404(own_id)))


def id_or_422(own_id: str) -> str:
    """Return the id in the path or the query; raises ApiError if there is none."""
    if not (own_id := requested_id(own_id)):
        raise ApiError(422, "bad_parameter", "name the document: its id belongs in the path, or in the query as id=…")
    return own_id


def document_or_404(own_id: str) -> DocumentPage:
    return find_document(id_or_422(own_id)) or abort(404, f"There is no document {requested_id(own_id)[:100]!r}.")


def find_document(own_id: str) -> DocumentPage | None:
    return document_page(db.session(), own_id, request.args.get("collection", ""))


def page_json(page: DocumentPage) -> dict[str, Any]:
    values = asdict(page)
    del values["number"]
    return values | {"tags": list(page.tags)}


@document_api.get("/api/documents/<own_id:own_id>/similar")
@document_api.get("/api/similar")
@rate_limit("search")
def api_similar(own_id: str = "") -> Response:
    """Return similar documents, or the document itself if only one with an id that ends in `/similar` is meant."""
    limit = check_number("limit", 20, 10)
    document = find_document(id_or_422(own_id))
    if document is None and own_id and (named := find_document(f"{own_id}/similar")):
        return jsonify(page_json(named))
    document = document or document_or_404(own_id)
    hits = similar(db.session(), document.number, semantic(), limit)
    return jsonify({"hits": [hit_json(hit) for hit in hits], "semantic": semantic_json(semantic())})
