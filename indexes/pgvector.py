"""The state of pgvector in a database: the extension, and a halfvec table with its index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from utils.citus import total_bytes
from utils.sql import dialect

Extension = Literal["not_postgresql", "no_extension", "old_extension", "not_made", "ready"]
EMPTY = 2**16  # below this many bytes, the rows may be on other servers
LEAST = (0, 8)  # the first version with iterative index scans

AVAILABLE = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'vector'"
TABLE = """
SELECT pg_total_relation_size(t.oid), coalesce(i.indisvalid, false) FROM (SELECT to_regclass(:name) AS oid) t
LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indexrelid = to_regclass(:index) WHERE t.oid IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class HalfvecTableState:
    """An existing halfvec table: bytes with indexes, and whether its index is complete."""

    nbytes: int
    is_indexed: bool


def extension(session: Session) -> Extension:
    """Return `ready`, `not_made` if the extension can be created, or why halfvec is not available."""
    if dialect(session) != "postgresql":
        return "not_postgresql"
    available = session.execute(text(AVAILABLE)).one_or_none()
    if available is None:
        return "no_extension"
    if available.installed_version is None:
        return "not_made" if new_enough(available.default_version) else "old_extension"
    return "ready" if new_enough(available.installed_version) else "old_extension"


def new_enough(version: str) -> bool:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= LEAST


def halfvec_index_name(table: str) -> str:
    """Return the name of a table's index."""
    return f"{table}_half"


def table_state(session: Session, table: str) -> HalfvecTableState | None:
    """Return the state of a table; None if it does not exist."""
    if dialect(session) != "postgresql":
        return None
    row = session.execute(text(TABLE), {"name": table, "index": halfvec_index_name(table)}).one_or_none()
    if row is None:
        return None
    nbytes, is_indexed = row
    return HalfvecTableState(total_bytes(session, table) if nbytes < EMPTY else nbytes, is_indexed)
