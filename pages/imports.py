"""The import pages: upload a file, choose what its columns are, start the import and follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import Blueprint, Response, redirect, render_template, request, send_file, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from indexing.column_names import known_columns
from indexing.embedding import waiting_documents
from indexing.importing import REJECTS_HEADER
from indexing.journal import can_undo
from indexing.layout import Options, mapping_of
from indexing.previews import Preview, PreviewColumn, check_can_be_shown, preview_or_refusal
from indexing.rows import FileUnusable
from jobs.claims import is_cut_off
from jobs.imports import (
    accept,
    cancel_import,
    choose_options,
    is_undo,
    options_of,
    recent_imports,
    seconds_left,
    start_import,
    start_undo,
)
from jobs.uploads import rejects_path, upload_path
from models import Job, db
from search.query import Query, clean_text
from utils.cells import MARK, csv_line
from utils.messages import Refusal
from web.access import caller, sign_in
from web.audit import record_request
from web.body_limits import UPLOAD_BYTES, body_limit
from web.current import runtime, semantic
from web.errors import translated
from web.imports import about_import, import_or_404, uploaded, wants_private
from web.screenings import NUMBER

import_pages = Blueprint("imports", __name__)
SHOWN_IMPORTS = 20
READING = "encoding", "records", "sheet", "folder_tags"  # options that decide which columns there are
LEFT_OUT = "-"  # what a column is on the form if it is left out; empty if it is searched and shown


def import_page_with(options: Options, error: str = "") -> str:
    who = caller()
    jobs = recent_imports(db.session()) if who.has("write") else []
    mine = [job for job in jobs if who.may_write(options_of(job).collection)][:SHOWN_IMPORTS]
    return render_template(
        "import.html", query=Query(), may_write=who.has("write"), error=error, options=options,
        imports=[(job, is_cut_off(job), upload_path(runtime().upload_folder, job).exists()) for job in mine],
    )  # fmt: skip


@import_pages.get("/import")
def import_form() -> str:
    return import_page_with(Options())


@import_pages.post("/import")
@body_limit(UPLOAD_BYTES)
def import_upload() -> AnyResponse | tuple[str, int]:
    """Store an uploaded file and show how it is read; nothing is imported yet."""
    options = uploaded_options()
    if not caller().has("write") and not (sign_in(request.form.get("token", "")) and caller().has("write")):
        return import_page_with(options, gettext("The key is wrong, or may not import.")), 401
    if not caller().may_write(options.collection):
        return import_page_with(options, gettext("Your key is for other collections.")), 403
    sent = uploaded(request.files.getlist("file"))
    if request.form.get("token") and not sent:
        return redirect(url_for("imports.import_form"), 303)
    if not sent:
        return import_page_with(options, gettext("Choose a file first.")), 422
    try:
        job = accept(db.session(), runtime().upload_folder, *sent, options, check_can_be_shown)
    except Refusal as error:
        return import_page_with(options, translated(error)), 422
    return redirect(url_for("imports.import_page", number=job.id))


def uploaded_options() -> Options:
    form = request.form
    collection = clean_text(form.get("collection", ""))[:64] or "documents"
    return Options(collection=collection, private=wants_private(collection, form.get("private", "")))


@import_pages.get(f"/import/{NUMBER}")
def import_page(number: int) -> str:
    job = import_or_404(number, caller())
    return job_page(job, waiting_preview(job))


def job_page(job: Job, seen: Preview | None) -> str:
    return render_template(
        "import_job.html", query=Query(), job=job, preview=seen, options=options_of(job), cut_off=is_cut_off(job),
        kept=is_undo(job) or upload_path(runtime().upload_folder, job).exists(), waiting=unembedded_documents(job),
        left_s=seconds_left(job), undoing=is_undo(job), undoable=can_undo(db.session(), job.id),
    )  # fmt: skip


def waiting_preview(job: Job) -> Preview | None:
    """Return how the file of an import that waits would be read; None if it does not wait, or the file is gone."""
    path = upload_path(runtime().upload_folder, job)
    return preview_or_refusal(path, options_of(job)) if job.state == "waiting" and path.exists() else None


def unembedded_documents(job: Job) -> int:
    """Return how many documents of a finished import's collection still lack an embedding."""
    model = semantic().model.key
    if job.state != "done" or model is None:
        return 0
    return waiting_documents(db.session(), model, options_of(job).collection)


@import_pages.post(f"/import/{NUMBER}/columns")
def import_columns(number: int) -> AnyResponse | tuple[str, int]:
    """Store what the columns of a waiting file are, and show its documents anew."""
    refused = column_choice(import_or_404(number, caller()))
    return refused or redirect(url_for("imports.import_page", number=number), 303)


def column_choice(job: Job) -> tuple[str, int] | None:
    """Store what the form says of the columns of a file that waits; return the page if that is refused."""
    seen = waiting_preview(job) if "chosen" in request.form else None
    if seen is None:
        return None
    uses = [request.form.get(f"use-{place}", column.field) for place, column in enumerate(seen.columns)]
    columns = [column._replace(field=use) for column, use in zip(seen.columns, uses, strict=True)]
    try:
        choose_options(db.session(), job, chosen_options(options_of(job), columns))
    except FileUnusable as error:
        return job_page(job, Preview(columns, refusal=error)), 422
    return None


def chosen_options(before: Options, columns: Sequence[PreviewColumn]) -> Options:
    """Return the options of the form; if the file is read in another way, its columns are guessed anew.

    Raises FileUnusable for a field chosen twice.
    """
    encoding, records, sheet = (request.form.get(name, "").strip() for name in ("encoding", "records", "sheet"))
    reading = replace(
        Options(before.collection, private=before.private), encoding=encoding, records=records, sheet=sheet,
        folder_tags=bool(request.form.get("folder_tags")),
    )  # fmt: skip
    if not columns or any(getattr(reading, name) != getattr(before, name) for name in READING):
        return reading
    mapping, more_body = mapping_of(f"{use}={name}" for name, use, *_ in columns if use not in ("", LEFT_OUT))
    guessed_id = known_columns(name for name, *_ in columns).get("id")
    return replace(
        before, mapping=mapping, more_body=more_body, guesses=False, sure_id=mapping.get("id") != guessed_id,
        sync=bool(request.form.get("sync")),
        drop=frozenset(name for name, use, *_ in columns if use == LEFT_OUT),
        tag_separator=request.form.get("tag_separator", "").strip()[:4] or None,
    )  # fmt: skip


@import_pages.post(f"/import/{NUMBER}")
def import_start(number: int) -> AnyResponse | tuple[str, int]:
    """Start an import that is waiting, or resume one that failed, was cancelled or cut off."""
    job = import_or_404(number, caller())
    address = url_for("imports.import_page", number=number)
    if refused := column_choice(job):
        return refused
    seen = waiting_preview(job)
    if seen and not seen.documents:
        return job_page(job, seen), 422
    if seen and "chosen" in request.form and options_of(job).guesses:
        return redirect(address, 303)  # other columns than those that were looked at
    can_run = is_undo(job) or upload_path(runtime().upload_folder, job).exists()
    if can_run and start_import(db.session(), job):
        record_request("import", about_import(job))
        runtime().imports.wake()
    return redirect(address)


@import_pages.post(f"/import/{NUMBER}/cancel")
def import_cancel(number: int) -> AnyResponse:
    """Cancel an import; what was stored stays."""
    job = import_or_404(number, caller())
    if cancel_import(db.session(), job):
        record_request("import cancelled", about_import(job))
    return redirect(url_for("imports.import_page", number=number), 303)


@import_pages.post(f"/import/{NUMBER}/undo")
def import_undo(number: int) -> AnyResponse:
    """Undo an import: what it made or changed is as before, where nobody changed it since."""
    job = import_or_404(number, caller())
    if start_undo(db.session(), job):
        record_request("import undone", about_import(job))
        runtime().imports.wake()
    return redirect(url_for("imports.import_page", number=number), 303)


@import_pages.get(f"/import/{NUMBER}/rejects")
def import_rejects(number: int) -> AnyResponse:
    """Return the refused rows of an import as CSV: all while their file is kept, else those in its report."""
    job = import_or_404(number, caller())
    path = rejects_path(runtime().upload_folder, job)
    if path.exists():
        return send_file(path.absolute(), "text/csv; charset=utf-8", as_attachment=True, download_name="rejects.csv")
    rows = [(row["line"], row["reason"], row["row"]) for row in job.report.get("rejects", ())]
    lines = MARK + "".join(map(csv_line, [REJECTS_HEADER, *rows]))
    headers = {"Content-Disposition": "attachment; filename=rejects.csv"}
    return Response(lines, headers=headers, content_type="text/csv; charset=utf-8")
