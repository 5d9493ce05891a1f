"""The imports API: upload a file, follow the import, cancel it; all of it needs a key that may write."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for

from api.requests import LONGEST_COLLECTION, check_length, check_may_write
from indexing.layout import Options, mapping_of
from jobs.claims import is_cut_off
from jobs.imports import accept, cancel_import, start_import, start_undo
from models import Job, db
from search.query import clean_text
from web.access import bearer, needs
from web.audit import record_request
from web.body_limits import UPLOAD_BYTES, body_limit
from web.current import runtime
from web.errors import ApiError
from web.imports import about_import, import_or_404, uploaded, wants_private
from web.screenings import NUMBER

import_api = Blueprint("api_imports", __name__)


@import_api.post("/api/import")
@body_limit(UPLOAD_BYTES)
@needs("write")
def api_import() -> tuple[Response, int]:
    """Accept a file of documents, which is imported in the background."""
    sent = uploaded(request.files.getlist("file"))
    if not sent:
        raise ApiError(422, "no_file", "Send the file as the field 'file' of multipart/form-data.")
    options = form_options()
    check_may_write(options.collection)
    job = accept(db.session(), runtime().upload_folder, *sent, options)
    start_import(db.session(), job)
    record_request("import", about_import(job))
    runtime().imports.wake()
    address = url_for("api_imports.api_import_state", number=job.id)
    return jsonify({"id": job.id, "address": address}), 202


def form_options() -> Options:
    form = request.form
    check_length("collection", form.get("collection", ""), LONGEST_COLLECTION)
    collection = clean_text(form.get("collection", "")) or "documents"
    mapping, more_body = mapping_of(filter(None, form.getlist("map")))
    return Options(
        collection=collection,
        mapping=mapping,
        tag_separator=form.get("tag_separator") or None,
        drop=frozenset(form.getlist("drop")),
        more_body=more_body,
        encoding=form.get("encoding", ""),
        records=form.get("records", ""),
        sheet=form.get("sheet", ""),
        folder_tags=form.get("tags_from_folders") in ("1", "true"),
        sync=form.get("sync") in ("1", "true"),
        private=wants_private(collection, form.get("private", "")),
    )


@import_api.get(f"/api/import/{NUMBER}")
@needs("write")
def api_import_state(number: int) -> Response:
    return jsonify(import_json(import_or_404(number, bearer())))


@import_api.post(f"/api/import/{NUMBER}/cancel")
@needs("write")
def api_import_cancel(number: int) -> Response:
    """Cancel an import; what was stored stays."""
    job = import_or_404(number, bearer())
    if not cancel_import(db.session(), job):
        raise ApiError(409, "ended", "The import is not running: there is nothing to cancel.")
    record_request("import cancelled", about_import(job))
    return jsonify(import_json(job))


@import_api.post(f"/api/import/{NUMBER}/undo")
@needs("write")
def api_import_undo(number: int) -> tuple[Response, int]:
    """Undo an import in the background."""
    job = import_or_404(number, bearer())
    if not start_undo(db.session(), job):
        raise ApiError(409, "nothing_to_undo", "The import is not over, or what it changed is no longer known.")
    record_request("import undone", about_import(job))
    runtime().imports.wake()
    return jsonify(import_json(import_or_404(number, bearer()))), 202


def import_json(job: Job) -> dict[str, Any]:
    values = {name: getattr(job, name) for name in ("id", "name", "state", "done", "total", "report")}
    return values | {"cut_off": is_cut_off(job)}
