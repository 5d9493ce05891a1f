"""Turns the row of a file into a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexing.column_names import without_marks
from indexing.documents import NewDocument, digest, row_hash
from indexing.html_text import html_to_text
from indexing.layout import Layout
from indexing.rows import Row, RowRefused, readable
from indexing.tag_cells import cell_text, field_tags

MOST_TEXT_BYTES = 1_048_576
LONGEST_ID = 255


def parsed_document(fields: Mapping[str, Any], layout: Layout) -> NewDocument:
    """Return a row as a document; raises RowRefused."""
    columns = layout.columns_of(fields)
    values = {meaning: fields.get(column) for meaning, column in columns.items()}
    title, body = field_text(values.get("title")), body_of(fields, columns.get("body", ""), layout)
    if not title and not body:
        raise RowRefused("bad_document.empty")
    if len(title) + len(body) > MOST_TEXT_BYTES // 4 and len((title + body).encode()) > MOST_TEXT_BYTES:
        raise RowRefused("bad_document.text")
    own_id = own_id_of(values.get("id"))
    if len(own_id) > LONGEST_ID:
        raise RowRefused("bad_document.id", most=LONGEST_ID)
    used = {*columns.values(), *layout.options.drop, *layout.options.more_body}
    document = NewDocument(
        own_id=own_id,
        title=on_one_line(title) or text_preview(body),
        body=body,
        tags=field_tags(values.get("tags"), layout.tag_separator),
        extra={name: value for name, value in fields.items() if name not in used and value not in (None, "")},
        **{name: without_marks(field_text(values.get(name))) for name in ("source", "url", "licence")},
        language=field_text(values.get("language")).lower()[:16],
    )
    return document if own_id else identified(document, title, layout.identity)


def own_id_of(value: object) -> str:
    """Return an ID as it is written: signs of direction may belong to it."""
    return field_text(value) if isinstance(value, list | dict) else cell_text(value)


def identified(document: NewDocument, title: str, identity: str) -> NewDocument:
    """Give a document an ID that follows from its text, and from all else that its row has."""
    parts = {name: getattr(document, name) for name in document.__slots__}
    others = any(value for name, value in parts.items() if name not in ("own_id", "title", "body"))
    key = row_hash(document) if others and identity == "row" else digest(title + "\x1f" + document.body)
    return NewDocument(**parts | {"own_id": key.hex()[:16]})


def body_of(fields: Mapping[str, Any], column: str, layout: Layout) -> str:
    """Return the text of a row's body; several columns become paragraphs."""
    parts = [field_text(fields.get(name), name in layout.html) for name in (column, *layout.options.more_body)]
    return "\n\n".join(part for part in parts if part)


def field_text(value: object, is_markup: bool = False) -> str:
    """Return a value as text: the parts of lists and objects as paragraphs, markup without its tags."""
    if isinstance(value, list | tuple):
        return "\n\n".join(part for part in map(field_text, value) if part)
    if isinstance(value, dict):
        text = next((value[name] for name in ("text", "content", "value", "body") if value.get(name)), None)
        return field_text(list(value.values()) if text is None else text)
    text = cell_text(value)
    if is_markup:
        return html_to_text(text)
    return text if text.isascii() else text.strip("\u200e\u200f\ufeff \t\r\n")


def on_one_line(title: str) -> str:
    return " ".join(title.split()) if "\n" in title or "\r" in title else title


def text_preview(body: str) -> str:
    first = body.split("\n", 1)[0]
    return first if len(first) <= 80 else first[:80].rsplit(" ", 1)[0] + " …"


def accepted_row(row: Row, layout: Layout) -> NewDocument:
    """Return a row of a file as a document; raises RowRefused."""
    if row.refusal:
        raise row.refusal
    return parsed_document(row.fields or {}, layout)


def raw_row(row: Row) -> str:
    return row.raw or readable(row.fields)
