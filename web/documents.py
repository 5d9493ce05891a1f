"""Writing and deleting one document for whoever may: the same from a page and through the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from indexing.documents import delete_documents, write_documents
from indexing.layout import Options, api_layout
from indexing.parsing import parsed_document
from models import db
from operations.audit import about_document
from search.documents import DocumentPage, document_page
from web.audit import record_request
from web.current import runtime

ADDED_FIELDS = frozenset({"added_at", "changed_at"})  # in a response, which can be sent back as it is


def save_document(
    collection: str, fields: Mapping[str, Any], extra: Mapping[str, Any], is_new: bool = False
) -> tuple[DocumentPage, bool]:
    """Store a document; return it, and whether there was none of its ID. Its embedding is computed soon after.

    Raises RowRefused, DocumentKeyCollision, and IdTaken for an `is_new` one whose ID another has.
    """
    document = parsed_document(fields, api_layout(Options(collection, drop=ADDED_FIELDS)))
    if is_new and document_page(db.session(), document.own_id, collection):
        raise IdTaken(document.own_id)
    document = replace(document, extra=dict(extra) | document.extra)
    written = write_documents(db.session(), collection, [document])
    record_request("document written", about_document(collection, document.own_id))
    if written.new or written.changed:
        runtime().embed_soon(db.session())
    stored = document_page(db.session(), document.own_id, collection)
    assert stored is not None  # noqa: S101 - it has just been written
    return stored, bool(written.new)


class IdTaken(ValueError):
    """Another document of the collection has this ID already."""


def remove_document(document: DocumentPage) -> None:
    delete_documents(db.session(), [document.number])
    record_request("document deleted", about_document(document.collection, document.id))
