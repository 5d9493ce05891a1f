"""Backups: a consistent snapshot of the database in a file that any supported database can restore."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, Table, func, select, text
from sqlalchemy.orm import Session

from indexing.archive import new_archive, to_json_value
from models import Base, Document, DocumentTag, State, Tag, number
from utils.citus import is_spread
from utils.sql import among, dialect

ROWS_AT_ONCE = 500
# Tables that a restore rebuilds from the documents, or that only a running process needs.
MADE_ANEW = frozenset({"document", "document_tag", "tag_count", "words", "term", "state", "change"})
LEFT_OUT = frozenset({"job"})  # uploads waiting on this host's disk


def plain_tables() -> list[Table]:
    """Return the tables that are copied row by row, referenced ones first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in MADE_ANEW | LEFT_OUT]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Session]:
    """Open a session that sees one consistent state of the database.

    A cluster has no common snapshot: there the lock on the state row makes writers wait.
    """
    options: dict[str, Any] = {}
    waits = are_several(engine)
    if engine.dialect.name == "postgresql" and not waits:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, Session(connection) as session:
        if dialect(session) == "sqlite":
            session.execute(text("BEGIN"))  # the driver begins a transaction only on a write
        moment = select(State.version)  # the snapshot begins with the first read
        session.execute(moment.with_for_update() if waits else moment)
        try:
            yield session
        finally:
            session.rollback()


def are_several(engine: Engine) -> bool:
    """Whether the documents are spread over several servers."""
    with engine.connect() as connection:
        return is_spread(connection)


def backup(engine: Engine, path: Path, on_rows: Callable[[int], None] = lambda _: None) -> int:
    """Write everything to a file and return the number of rows; raises OSError and leaves no file."""
    with snapshot(engine) as session:
        with new_archive(path, described(session), on_rows) as archive:
            for table in plain_tables():
                archive.add(table.name, table.columns.keys(), plain_rows(session, table))
            columns = Document.__table__.columns
            archive.add("document", [*columns.keys(), "tags"], document_rows(session))
        return rows_in(session)


def described(session: Session) -> dict[str, Any]:
    """Return the manifest's description of the database."""
    state = session.execute(select(State)).scalar_one()
    return {
        "made_at": int(time.time()),
        "database": dialect(session),
        "revision": session.execute(text("SELECT version_num FROM alembic_version")).scalar(),
        "version": state.version,
        "model_id": state.model_id,
    }


def rows_in(session: Session) -> int:
    """Return the number of rows in a backup."""
    tables: list[Any] = [*plain_tables(), Document.__table__]
    return sum(session.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


def plain_rows(session: Session, table: Table) -> Iterator[list[Any]]:
    rows = session.execute(select(table).order_by(*table.primary_key).execution_options(yield_per=ROWS_AT_ONCE))
    columns = list(table.columns)
    for row in rows:
        yield [to_json_value(column, value) for column, value in zip(columns, row, strict=True)]


def document_rows(session: Session) -> Iterator[list[Any]]:
    columns = list(Document.__table__.columns)
    for row, tags in stored_documents(session):
        yield [*(to_json_value(column, value) for column, value in zip(columns, row, strict=True)), tags]


DOCUMENTS_AT_ONCE = 200


def stored_documents(session: Session, collection: str = "") -> Iterator[tuple[Row[Any], list[str]]]:
    """Yield `document` rows with their tags' names in the document's order, of one collection or all."""
    table: Table = Document.__table__  # type: ignore[assignment]
    statement = select(table).order_by(table.c.id).limit(DOCUMENTS_AT_ONCE)
    if collection:
        statement = statement.where(table.c.collection_id == number("collection", collection))
    last = -1
    while rows := session.execute(statement.where(table.c.id > last)).all():
        tags = document_tag_names(session, [row.id for row in rows])
        yield from ((row, tags.get(row.id, [])) for row in rows)
        last = rows[-1].id


def document_tag_names(session: Session, documents: list[int]) -> dict[int, list[str]]:
    rows = select(DocumentTag.document_id, Tag.name).join(Tag, Tag.id == DocumentTag.tag_id)
    rows = rows.where(among(DocumentTag.document_id, documents))
    pairs = session.execute(rows.order_by(DocumentTag.document_id, DocumentTag.place, DocumentTag.tag_id))
    return {document: [name for _, name in group] for document, group in groupby(pairs, key=lambda row: row[0])}
