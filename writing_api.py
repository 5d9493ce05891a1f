"""The API that writes documents and imports files; it asks for the admin token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Response, current_app, jsonify, request, url_for

from api import ApiError, api, body_fields, need_admin, page_json, stored
from import_pages import upload_folder
from indexing.documents import KeysMeet, delete_documents, write_documents
from indexing.importing import Options, RowRefused, mapping_of
from indexing.importing import document as as_document
from indexing.jobs import is_cut_off
from indexing.reading import FileUnusable
from indexing.uploads import accept, upload_path
from models import Job, db
from search.documents import document_page
from search.query import clean

OURS = frozenset({"added_at", "changed_at"})  # in a document's answer: the answer can be sent back as it is


@api.post("/api/documents")
def api_create() -> tuple[Response, int]:
    need_admin()
    return write(body_fields())


@api.put("/api/documents/<path:own_id>")
def api_replace(own_id: str) -> tuple[Response, int]:
    need_admin()
    return write(body_fields() | {"id": own_id})


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
    return Options(
        collection=clean(form.get("collection", ""))[:64] or "documents",
        mapping=mapping_of(filter(None, form.getlist("map"))),
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
