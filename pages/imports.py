"""The import pages: upload a file, preview it, start the import and follow it."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from indexing.embedding import waiting_documents
from indexing.importing import preview
from indexing.layout import Options
from jobs.claims import is_cut_off
from jobs.imports import accept, cancel_import, options_of, start_import, upload_path
from models import Job, db
from search.query import Query, clean_text
from utils.messages import Refusal
from web.access import caller, sign_in
from web.audit import record_request
from web.body_limits import UPLOAD_BYTES, body_limit
from web.current import runtime, semantic
from web.errors import translated
from web.imports import about_import, import_or_404, wants_private
from web.screenings import NUMBER

import_pages = Blueprint("imports", __name__)


def import_page_with(options: Options, error: str = "") -> str:
    return render_template("import.html", query=Query(), may_write=caller().has("write"), error=error, options=options)


@import_pages.get("/import")
def import_form() -> str:
    return import_page_with(Options())


@import_pages.post("/import")
@body_limit(UPLOAD_BYTES)
def import_upload() -> AnyResponse | tuple[str, int]:
    """Store an uploaded file and show a preview; nothing is imported yet."""
    options = chosen_options()
    if not caller().has("write") and not (sign_in(request.form.get("token", "")) and caller().has("write")):
        return import_page_with(options, gettext("The key is wrong, or may not import.")), 401
    if not caller().may_write(options.collection):
        return import_page_with(options, gettext("Your key is for other collections.")), 403
    upload = request.files.get("file")
    if request.form.get("token") and (upload is None or not upload.filename):
        return redirect(url_for("imports.import_form"), 303)
    if upload is None or not upload.filename:
        return import_page_with(options, gettext("Choose a file first.")), 422
    try:
        job = accept(db.session(), runtime().upload_folder, upload.filename, upload.save, options)
    except Refusal as error:
        return import_page_with(options, translated(error)), 422
    return redirect(url_for("imports.import_page", number=job.id))


def chosen_options() -> Options:
    form = request.form
    columns = {name: form.get(f"map_{name}", "").strip() for name in ("title", "body", "tags", "id")}
    collection = clean_text(form.get("collection", ""))[:64] or "documents"
    return Options(
        collection=collection,
        mapping={name: column for name, column in columns.items() if column},
        tag_separator=form.get("tag_separator", "").strip()[:4] or None,
        drop=frozenset(name.strip() for name in form.get("drop", "").split(",") if name.strip()),
        private=wants_private(collection, form.get("private", "")),
    )


@import_pages.get(f"/import/{NUMBER}")
def import_page(number: int) -> str:
    job = import_or_404(number, caller())
    path = upload_path(runtime().upload_folder, job)
    file_preview = preview(path, options_of(job)) if job.state == "waiting" and path.exists() else None
    return render_template(
        "import_job.html", query=Query(), job=job, preview=file_preview, cut_off=is_cut_off(job), kept=path.exists(),
        waiting=unembedded_documents(job),
    )  # fmt: skip


def unembedded_documents(job: Job) -> int:
    """Return how many documents of a finished import's collection still lack an embedding."""
    model = semantic().model.key
    if job.state != "done" or model is None:
        return 0
    return waiting_documents(db.session(), model, options_of(job).collection)


@import_pages.post(f"/import/{NUMBER}")
def import_start(number: int) -> AnyResponse:
    """Start an import that is waiting, or resume one that failed, was cancelled or cut off."""
    job = import_or_404(number, caller())
    if upload_path(runtime().upload_folder, job).exists() and start_import(db.session(), job):
        record_request("import", about_import(job))
        runtime().imports.wake()
    return redirect(url_for("imports.import_page", number=number))


@import_pages.post(f"/import/{NUMBER}/cancel")
def import_cancel(number: int) -> AnyResponse:
    """Cancel an import; what was stored stays."""
    job = import_or_404(number, caller())
    if cancel_import(db.session(), job):
        record_request("import cancelled", about_import(job))
    return redirect(url_for("imports.import_page", number=number), 303)
