"""What of pgvector a database has: the extension, and a table with an index of halves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from utils.citus import total_bytes
from utils.sql import dialect

Extension = Literal["not_postgresql", "no_extension", "old_extension", "not_made", "ready"]
EMPTY = 2**16  # below so many bytes, its rows may be on other servers
LEAST = (0, 8)  # scans of an index that go on until a filter let enough through

AVAILABLE = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'vector'"
TABLE = """
SELECT pg_total_relation_size(t.oid), coalesce(i.indisvalid, false) FROM (SELECT to_regclass(:name) AS oid) t
LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indexrelid = to_regclass(:index) WHERE t.oid IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class HalfTable:
    """A table of halves that is there: its bytes with its indexes, and whether the index of them is whole."""

    nbytes: int
    is_indexed: bool


def extension(session: Session) -> Extension:
    """Return whether the database can hold halves now (`ready`), or could (`not_made`), or why it cannot."""
    if dialect(session) != "postgresql":
        return "not_postgresql"
    found = session.execute(text(AVAILABLE)).one_or_none()
    if found is None:
        return "no_extension"
    if found.installed_version is None:
        return "not_made" if new_enough(found.default_version) else "old_extension"
    return "ready" if new_enough(found.installed_version) else "old_extension"


def new_enough(version: str) -> bool:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= LEAST


def half_index(table: str) -> str:
    """Return the name of a table's index."""
    return f"{table}_half"


def table_state(session: Session, table: str) -> HalfTable | None:
    """Return what there is of a table; None where it is not there."""
    if dialect(session) != "postgresql":
        return None
    found = session.execute(text(TABLE), {"name": table, "index": half_index(table)}).one_or_none()
    if found is None:
        return None
    nbytes, is_indexed = found
    return HalfTable(total_bytes(session, table) if nbytes < EMPTY else nbytes, is_indexed)
