"""Adding, editing and deleting a document in the browser, for whoever may write its collection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as AnyResponse

from indexing.documents import digest
from indexing.parsing import LONGEST_ID
from indexing.rows import RowRefused
from indexing.tag_cells import LONGEST_TAG, MOST_TAGS
from models import db
from search.documents import DocumentPage, collections, document_page
from search.query import Query, clean_text
from web.access import caller, needs
from web.addresses import document_url
from web.body_limits import DOCUMENT_BYTES, body_limit
from web.documents import IdTaken, remove_document, save_document
from web.errors import translated

document_pages = Blueprint("documents", __name__)

TEXTS = ("title", "body", "language", "url", "source", "licence")
EMPTY_COLUMNS, MOST_COLUMNS, LONGEST_COLLECTION = 2, 200, 64


@dataclass(frozen=True, slots=True)
class Draft:
    """What stands in the form: a stored document, or what was typed."""

    collection: str = ""
    id: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    tags: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    seen: str = ""  # the content that was edited, as `content_of` has it; empty for a new document

    @classmethod
    def of_document(cls, document: DocumentPage) -> Draft:
        texts = {name: getattr(document, name) for name in TEXTS}
        columns = tuple((name, written(value)) for name, value in document.extra.items())
        return cls(document.collection, document.id, texts, "\n".join(document.tags), columns, content_of(document))

    @classmethod
    def of_form(cls) -> Draft:
        form = request.form
        columns = zip(form.getlist("column"), form.getlist("value"), strict=False)
        return cls(
            clean_text(form.get("collection", ""))[:LONGEST_COLLECTION],
            form.get("id", "").strip(),
            {name: form.get(name, "").replace("\r\n", "\n").strip() for name in TEXTS},
            form.get("tags", ""),
            tuple((name.strip(), value.strip()) for name, value in columns if name.strip() and value.strip()),
            form.get("seen", ""),
        )

    def tag_list(self) -> list[str]:
        return [line for line in map(str.strip, self.tags.splitlines()) if line]


def content_of(document: DocumentPage) -> str:
    """Return a hash of what the form shows, which tells whether it has changed meanwhile."""
    values = [*(getattr(document, name) for name in TEXTS), document.tags, document.extra]
    return digest(json.dumps(values, ensure_ascii=False)).hex()


def written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@document_pages.get("/new")
@needs("write")
def new_document() -> str:
    named = clean_text(request.args.get("collection", ""))[:LONGEST_COLLECTION]
    return form_page(Draft(named or next(iter(writable()), "documents")))


@document_pages.post("/new")
@body_limit(DOCUMENT_BYTES)
@needs("write")
def new_document_sent() -> AnyResponse | tuple[str, int]:
    return save(Draft.of_form(), None)


@document_pages.get("/edit")
@needs("write")
def edit_document() -> str:
    document = edited()
    return form_page(Draft.of_document(document), document)


@document_pages.post("/edit")
@body_limit(DOCUMENT_BYTES)
@needs("write")
def edit_document_sent() -> AnyResponse | tuple[str, int]:
    """Store a document, unless somebody else changed it since its form was sent: then both can be seen."""
    document, draft = edited(), Draft.of_form()
    if draft.seen != content_of(document):
        draft = replace(draft, seen=content_of(document))
        conflict = gettext("Somebody else has changed this document meanwhile. Save again to replace their changes.")
        return form_page(draft, document, conflict, is_conflict=True), 409
    return save(draft, document)


@document_pages.post("/edit/delete")
@needs("write")
def delete_document() -> AnyResponse:
    document = edited()
    remove_document(document)
    return redirect(url_for("search.everything", collection=document.collection), 303)


def edited() -> DocumentPage:
    """Return the document that the request names; 403 if the caller may not write its collection."""
    own_id, collection = request.values.get("id", "").strip(), request.values.get("collection", "")
    document = document_page(db.session(), own_id, collection) or abort(404)
    check_writes(document.collection)
    return document


def check_writes(collection: str) -> None:
    if not caller().may_write(collection):
        raise Forbidden(gettext("Your key is for other collections."))


def save(draft: Draft, document: DocumentPage | None) -> AnyResponse | tuple[str, int]:
    """Store what was typed and show it; or say what is wrong, with all that was typed."""
    collection = document.collection if document else draft.collection or "documents"
    check_writes(collection)
    if error := draft_fault(draft):
        return form_page(draft, document, error), 422
    stored = document.extra if document else {}
    extra = {name: stored[name] if written(stored.get(name)) == value else value for name, value in draft.columns}
    fields: dict[str, Any] = {"id": document.id if document else draft.id, "tags": draft.tag_list(), **draft.texts}
    try:
        saved, _ = save_document(collection, fields, extra, is_new=document is None)
    except RowRefused as refusal:
        return form_page(draft, document, translated(refusal)), 422
    except IdTaken:
        return form_page(draft, document, gettext("Another document of this collection has this ID.")), 409
    return redirect(document_url(saved.id, collection=saved.collection), 303)


def draft_fault(draft: Draft) -> str:
    """Return what is wrong with the form and would otherwise be cut in silence."""
    tags = draft.tag_list()
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
        return str(
            gettext(
                "A document has at most %(count)s tags of %(length)s characters.", count=MOST_TAGS, length=LONGEST_TAG
            )
        )
    names = [name for name, _ in draft.columns]
    if len(names) > MOST_COLUMNS or len({*names}) < len(names) or {*names} & {"id", "tags", *TEXTS}:
        return str(gettext("Each column needs a name of its own, at most %(count)s in all.", count=MOST_COLUMNS))
    return ""


def form_page(draft: Draft, document: DocumentPage | None = None, error: str = "", is_conflict: bool = False) -> str:
    return render_template(
        "document_form.html", query=Query(), draft=draft, document=document, error=error, is_conflict=is_conflict,
        collections=writable(), empty_columns=EMPTY_COLUMNS, longest_id=LONGEST_ID,
        longest_collection=LONGEST_COLLECTION,
    )  # fmt: skip


def writable() -> list[str]:
    """Return the names of the collections that the caller may write, largest first."""
    return [name for name in collections(db.session()) if caller().may_write(name)]
