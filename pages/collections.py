"""The collections: what each has, who may read it, all of it as a file, and deleting one."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from indexes.access import is_hidden, set_private
from indexing.collections import delete_collection
from models import Collection, db, number
from search.collections import collection_rows
from search.query import Query, clean_text
from web.access import needs
from web.audit import record_request

collection_pages = Blueprint("collections", __name__)

MOST_DELETED = 10_000  # documents, within the time that a request may take; more are for the command


@collection_pages.get("/collections")
def collection_list_page() -> str:
    return render_template("collections.html", query=Query(), rows=collection_rows(db.session()))


@collection_pages.post("/collections/access")
@needs("admin")
def collection_access() -> AnyResponse:
    """Let everybody read a collection, or only keys."""
    row, is_private = named_collection(), request.form.get("access") == "private"
    set_private(db.session(), row.name, is_private)
    record_request("collection private" if is_private else "collection public", row.name)
    return redirect(url_for("collections.collection_list_page"), 303)


@collection_pages.get("/collections/delete")
@needs("admin")
def collection_delete_asked() -> str:
    """Ask before a collection is deleted."""
    return delete_page(named_collection())


@collection_pages.post("/collections/delete")
@needs("admin")
def collection_delete_sent() -> AnyResponse | tuple[str, int]:
    """Delete a collection once its name is typed."""
    row = named_collection()
    if request.form.get("typed", "").strip() != row.name:
        return delete_page(row, gettext("This is not the collection's name: nothing was deleted.")), 422
    if row.documents > MOST_DELETED:
        return delete_page(row), 422
    name = row.name
    for _ in delete_collection(db.session(), name):
        pass
    record_request("collection deleted", name)
    return redirect(url_for("collections.collection_list_page"), 303)


def delete_page(row: Collection, error: str = "") -> str:
    is_large = row.documents > MOST_DELETED
    return render_template("collection_delete.html", query=Query(), row=row, is_large=is_large, error=error)


def named_collection() -> Collection:
    """Return the collection that the request names."""
    name = clean_text(request.values.get("name", ""))
    row = None if is_hidden(db.session(), name) else db.session.get(Collection, number("collection", name))
    return row or abort(404)
