"""The pages that import a file: given, looked at, started, followed."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from indexing.embedding import waiting_documents
from indexing.importing import Options, preview
from indexing.reading import FileUnusable
from jobs.claims import is_cut_off
from jobs.imports import accept, cancel_import, import_job, options_of, start_import, upload_path
from models import Job, db
from search.query import Query, clean_text
from web.access import is_admin, sign_in
from web.body_limits import UPLOAD_BYTES, body_limit
from web.current import runtime, semantic
from web.rate_limits import rate_limit
from web.screenings import NUMBER

import_pages = Blueprint("imports", __name__)


@import_pages.get("/import")
def import_form() -> str:
    return render_template("import.html", query=Query(), admin=is_admin(), error="", options=Options())


@import_pages.post("/import")
@rate_limit("sign_in")
@body_limit(UPLOAD_BYTES)
def import_upload() -> AnyResponse | tuple[str, int]:
    """Keep an uploaded file and show how it would be understood; nothing is imported yet."""
    options = asked_options()
    if not is_admin() and not sign_in(request.form.get("token", "")):
        return refused(gettext("The admin token is not right."), options, 401)
    upload = request.files.get("file")
    if request.form.get("token") and (upload is None or not upload.filename):
        return redirect(url_for("imports.import_form"), 303)
    if upload is None or not upload.filename:
        return refused(gettext("Choose a file first."), options, 422)
    try:
        job = accept(db.session(), runtime().upload_folder, upload.filename, upload.save, options)
    except FileUnusable as error:
        return refused(unusable(error), options, 422)
    return redirect(url_for("imports.import_page", number=job.id))


def asked_options() -> Options:
    form = request.form
    pairs = [form.get(f"map_{name}", "").strip() for name in ("title", "body", "tags", "id")]
    mapping = {name: column for name, column in zip(("title", "body", "tags", "id"), pairs, strict=True) if column}
    return Options(
        collection=clean_text(form.get("collection", ""))[:64] or "documents",
        mapping=mapping,
        tag_separator=form.get("tag_separator", "").strip()[:4] or None,
        drop=frozenset(name.strip() for name in form.get("drop", "").split(",") if name.strip()),
    )


def refused(message: str, options: Options, code: int) -> tuple[str, int]:
    page = render_template("import.html", query=Query(), admin=is_admin(), error=message, options=options)
    return page, code


def unusable(error: FileUnusable) -> str:
    """Return why a file cannot be used, in the user's language."""
    names = ", ".join(error.values.get("names", ()))  # type: ignore[arg-type]
    said: dict[str, str] = {
        "empty": gettext("The file is empty."),
        "kind": gettext("This is not a file of documents: choose one that ends in .csv, .jsonl or .json."),
        "disk_full": gettext("The disk is full: free some space, or send a smaller file."),
        "nothing": gettext("No row of the file can be read."),
        "header": gettext("No column is called title or body: choose the columns below."),
        "twice": gettext("Two columns have the same name: %(names)s. Rename one of them.", names=names),
        "map": gettext("A column named below is not in the file: %(message)s", message=str(error)),
    }
    return said.get(error.code, str(error))


@import_pages.get(f"/import/{NUMBER}")
def import_page(number: int) -> str:
    job = known_import(number)
    path = upload_path(runtime().upload_folder, job)
    shown = preview(path, options_of(job)) if job.state == "waiting" and path.exists() else None
    return render_template(
        "import_job.html", query=Query(), job=job, preview=shown, cut_off=is_cut_off(job), kept=path.exists(),
        waiting=waiting_for_meaning(job),
    )  # fmt: skip


def waiting_for_meaning(job: Job) -> int:
    """Return how many documents of an import's collection are found by words only, once it is done."""
    model = semantic().model.key
    if job.state != "done" or model is None:
        return 0
    return waiting_documents(db.session(), model, options_of(job).collection)


def known_import(number: int) -> Job:
    job = import_job(db.session(), number)
    if job is None or not is_admin():
        abort(404)
    return job


@import_pages.post(f"/import/{NUMBER}")
def import_start(number: int) -> AnyResponse:
    """Start an import that waits, or one that failed, was cancelled or cut off."""
    job = known_import(number)
    if upload_path(runtime().upload_folder, job).exists() and start_import(db.session(), job):
        runtime().imports.wake()
    return redirect(url_for("imports.import_page", number=number))


@import_pages.post(f"/import/{NUMBER}/cancel")
def import_cancel(number: int) -> AnyResponse:
    """Cancel an import: what was stored stays."""
    cancel_import(db.session(), known_import(number))
    return redirect(url_for("imports.import_page", number=number), 303)
