"""Restores a backup: verified first, then written in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Table, delete, exists, select, update
from sqlalchemy.orm import Session

from indexes.merging import compact_segments
from indexes.version import bump
from indexing.archive import Archive, ArchiveUnusable, stored_row
from indexing.backup import DOCUMENT, LEFT_OUT, MADE_ANEW, plain_tables
from indexing.documents import Analysed, remember
from indexing.pipeline import analyst
from models import KEPT_CHANGES, Base, Collection, State
from utils.sql import many_writes, upsert
from utils.terms import INDEX_VERSION

DOCUMENTS_AT_ONCE = 500
ROWS_AT_ONCE = 500
Row = dict[str, Any]


class NotEmpty(ValueError):
    """The database is not empty; the message says what to do."""


def restore(
    session: Session,
    archive: Archive,
    replace: bool = False,
    on_rows: Callable[[int], None] = lambda _: None,
    own_process: bool = False,
) -> int:
    """Restore a backup and return the number of documents; raises NotEmpty and ArchiveUnusable."""
    check_known(archive)
    if not replace and is_filled(session):
        raise NotEmpty("The database is not empty. Restore into a new one, or add --replace and lose what is here")
    with analyst(own_process) as analysis, many_writes(session):
        version = bump(session)
        clear(session)
        before, after = parted_tables()
        for table in before:
            write_plain(session, archive, table, on_rows)
        count = write_all_documents(session, archive, analysis, on_rows)
        for table in after:
            write_plain(session, archive, table, on_rows)
        write_state(session, archive, version)
        session.commit()
        compact_segments(session, count)
    return count


def check_known(archive: Archive) -> None:
    """Raise ArchiveUnusable for tables or columns that this version does not have."""
    for name, part in archive.manifest.parts.items():
        table = Base.metadata.tables.get(name)
        known = {*table.columns.keys(), "tags"} if table is not None else set()
        if strange := sorted(set(part.columns) - known):
            raise ArchiveUnusable(
                f"{archive.path.name} is of a later version of Matmon: this one does not know"
                f" {name} ({', '.join(strange)}). Upgrade first, then restore"
            )


def is_filled(session: Session) -> bool:
    """Whether the database contains anything that a restore would delete."""
    tables = [*plain_tables(), DOCUMENT]
    return any(session.execute(select(exists(select(1).select_from(table)))).scalar_one() for table in tables)


def clear(session: Session) -> None:
    """Delete everything except the state row, which open pages see until the restore commits."""
    for table in reversed(Base.metadata.sorted_tables):
        if table.name not in LEFT_OUT | {"state"}:
            session.execute(delete(table))
    session.execute(update(State).values(documents=0, indexed_to=None, analysis=INDEX_VERSION))


def parted_tables() -> tuple[list[Table], list[Table]]:
    """Return the plain tables that documents reference, and those that reference documents."""
    parts: tuple[list[Table], list[Table]] = [], []
    for table in plain_tables():
        parts[any(key.column.table.name in MADE_ANEW for key in table.foreign_keys)].append(table)
    return parts


def write_plain(session: Session, archive: Archive, table: Table, on_rows: Callable[[int], None]) -> None:
    for rows in in_parts(archive.rows(table.name), ROWS_AT_ONCE):
        values = [stored_row(table, row) for row in rows]
        if table.name == Collection.__tablename__:
            values = [value | {"documents": 0} for value in values]  # counted again with the documents
        upsert(session, table, values)
        on_rows(len(rows))


def write_all_documents(
    session: Session, archive: Archive, analysis: Executor | None, on_rows: Callable[[int], None]
) -> int:
    """Write the documents with their terms and tags, and return their number."""
    names = {row["id"]: row["name"] for row in archive.rows(Collection.__tablename__)}
    count = 0
    for news in analysed_ahead(in_parts(archive.rows("document"), DOCUMENTS_AT_ONCE), analysis):
        for collection, same in groupby(news, key=lambda new: new.row["collection_id"]):
            remember(session, names[collection], list(same))
        count += len(news)
        on_rows(len(news))
    return count


def analysed_ahead(parts: Iterator[list[Row]], analysis: Executor | None) -> Iterator[list[Analysed]]:
    """Yield documents with their terms, analysed in the other process while the previous part is written."""
    waiting: Future[list[Analysed]] | None = None
    for part in parts:
        if analysis is None:
            yield analysed_rows(part)
            continue
        result = analysis.submit(analysed_rows, part)
        if waiting:
            yield waiting.result()
        waiting = result
    if waiting:
        yield waiting.result()


def analysed_rows(rows: Sequence[Row]) -> list[Analysed]:
    """Return documents by collection, ready to write; their terms come from the current analysis."""
    news = []
    for row in rows:
        tags = tuple(row.pop("tags"))
        news.append(Analysed.of(stored_row(DOCUMENT, row), tags))
    return sorted(news, key=lambda new: (new.row["collection_id"], new.number))


def write_state(session: Session, archive: Archive, version: int) -> None:
    """Set a version far ahead of that of every running process, so that each reloads everything."""
    later = max(version, int(archive.manifest.database["version"])) + KEPT_CHANGES + 1
    state = {
        "version": later,
        "versioned": later,
        "indexed_version": later,
        "model_id": archive.manifest.database["model_id"],
    }
    session.execute(update(State).values(state))


def in_parts(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while part := list(islice(rows, size)):
        yield part
