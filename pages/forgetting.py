"""The page on which an admin erases a document with every trace of it."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request

from models import db
from operations.audit import FORGOTTEN, about_document
from operations.forgetting import Forgotten, Places, forget_document
from search.documents import DocumentPage, document_page
from search.query import Query, clean_text
from web.access import needs
from web.audit import record_request
from web.current import runtime

forget_pages = Blueprint("forgetting", __name__)


@forget_pages.get("/forget")
@needs("admin")
def forget_form() -> str:
    """Ask before anything is erased."""
    return forget_page(forgettable_or_404(request.args.get("document", ""), request.args.get("collection", "")))


def forgettable_or_404(own_id: str, collection: str) -> DocumentPage:
    return document_page(db.session(), own_id, clean_text(collection)) or abort(404)


def forget_page(document: DocumentPage, forgotten: Forgotten | None = None) -> str:
    return render_template("forget.html", query=Query(), document=document, forgotten=forgotten)


@forget_pages.post("/forget")
@needs("admin")
def forget_asked() -> str:
    document = forgettable_or_404(request.form.get("document", ""), request.form.get("collection", ""))
    process = runtime()
    places = Places(process.upload_folder, process.index_folder, process.empty_caches)
    forgotten = forget_document(db.session(), document.collection, document.id, places)
    record_request("document forgotten", about_document(document.collection, FORGOTTEN))
    return forget_page(document, forgotten)
