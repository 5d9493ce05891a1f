"""The JSON API for imports: upload a file, follow the import."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request, url_for

from api.requests import need_admin
from indexing.import_jobs import accept, is_cut_off, upload_path
from indexing.importing import Options, mapping_of
from indexing.reading import FileUnusable
from models import Job, db
from search.query import clean
from web.body_limits import UPLOAD_BYTES, body_limit
from web.current import runtime
from web.errors import ApiError
from web.imports import upload_folder

import_api = Blueprint("api_imports", __name__)


@import_api.post("/api/import")
@body_limit(UPLOAD_BYTES)
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
    runtime().start_import(job.id, upload_path(upload_folder(), job))
    address = url_for("api_imports.api_import_state", number=job.id)
    return jsonify({"id": job.id, "address": address}), 202


def form_options() -> Options:
    form = request.form
    return Options(
        collection=clean(form.get("collection", ""))[:64] or "documents",
        mapping=mapping_of(filter(None, form.getlist("map"))),
        tag_separator=form.get("tag_separator") or None,
        drop=frozenset(form.getlist("drop")),
    )


@import_api.get("/api/import/<int(max=9007199254740991):number>")
def api_import_state(number: int) -> Response:
    need_admin()
    job = db.session.get(Job, number)
    if job is None:
        raise ApiError(404, "not_found", "There is no such import.")
    values = {name: getattr(job, name) for name in ("id", "name", "state", "done", "total", "report")}
    return jsonify(values | {"cut_off": is_cut_off(job)})
