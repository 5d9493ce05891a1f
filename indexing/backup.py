"""Backups: a consistent snapshot of the database in a file that any supported database can restore."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, Table, select, text
from sqlalchemy.orm import Session

from indexing.archive import json_row, new_archive
from models import Base, Document, DocumentTag, State, Tag, number
from utils.citus import is_spread
from utils.sql import among, dialect

ROWS_AT_ONCE, DOCUMENTS_AT_ONCE = 500, 200
DOCUMENT: Table = Document.__table__  # type: ignore[assignment]
# Tables that a restore rebuilds from the documents, or that only a running process needs.
MADE_ANEW = frozenset(
    {"document", "document_tag", "tag_count", "segment", "segment_block", "form", "state", "change"}
    | {"packed_embeddings", "embedding_segment"}
)
LEFT_OUT = frozenset({"job", "import_change"})  # uploads waiting on this host's disk, and what imports changed


def plain_tables() -> list[Table]:
    """Return the tables that are copied row by row, referenced ones first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in MADE_ANEW | LEFT_OUT]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Session]:
    """Open a session that sees one consistent state of the database.

    A cluster has no common snapshot: there the lock on the state row makes writers wait.
    """
    with engine.connect() as connection:
        has_several_servers = is_spread(connection)
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql" and not has_several_servers:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, Session(connection) as session:
        if dialect(session) == "sqlite":
            session.execute(text("BEGIN"))  # the driver begins a transaction only on a write
        first_read = select(State.version)  # the snapshot begins with it
        session.execute(first_read.with_for_update() if has_several_servers else first_read)
        try:
            yield session
        finally:
            session.rollback()


def backup(engine: Engine, path: Path, on_rows: Callable[[int], None] = lambda _: None) -> int:
    """Write everything to a file and return the number of rows; raises OSError and leaves no file."""
    with snapshot(engine) as session, new_archive(path, description(session), on_rows) as archive:
        for table in plain_tables():
            rows = session.execute(select(table).order_by(*table.primary_key).execution_options(yield_per=ROWS_AT_ONCE))
            archive.add(table.name, table.columns.keys(), (json_row(table, row) for row in rows))
        documents = ([*json_row(DOCUMENT, row), tags] for row, tags in stored_documents(session))
        archive.add("document", [*DOCUMENT.columns.keys(), "tags"], documents)
    return archive.manifest.rows


def description(session: Session) -> dict[str, Any]:
    """Return what the manifest says of the database."""
    state = session.execute(select(State)).scalar_one()
    return {
        "made_at": int(time.time()),
        "database": dialect(session),
        "revision": session.execute(text("SELECT version_num FROM alembic_version")).scalar(),
        "version": state.version,
        "model_id": state.model_id,
    }


def stored_documents(session: Session, collection: str = "") -> Iterator[tuple[Row[Any], list[str]]]:
    """Yield `document` rows with their tags' names in the document's order, of one collection or all."""
    statement = select(DOCUMENT).order_by(Document.id).limit(DOCUMENTS_AT_ONCE)
    if collection:
        statement = statement.where(Document.collection_id == number("collection", collection))
    last = -1
    while rows := session.execute(statement.where(Document.id > last)).all():
        tags = document_tag_names(session, [row.id for row in rows])
        yield from ((row, tags.get(row.id, [])) for row in rows)
        last = rows[-1].id


def document_tag_names(session: Session, documents: list[int]) -> dict[int, list[str]]:
    rows = select(DocumentTag.document_id, Tag.name).join(Tag, Tag.id == DocumentTag.tag_id)
    rows = rows.where(among(DocumentTag.document_id, documents))
    pairs = session.execute(rows.order_by(DocumentTag.document_id, DocumentTag.place, DocumentTag.tag_id))
    return {document: [name for _, name in group] for document, group in groupby(pairs, key=lambda row: row[0])}
