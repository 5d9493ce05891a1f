"""What a database does for each statement: executed ones are noted, and explained with what they were given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from models import db
from utils.sql import dialect

# Tables that grow with the collection or with its visitors; of models, imports and screenings a bounded few are kept.
GROWING = frozenset(
    "document document_tag tag tag_count tag_embedding embedding words term change screening_result"
    " saved_search".split()
)
PARTIAL = frozenset({"screening_result_decided"})  # indexes of a few rows of a table: read whole, they are few
EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
ALIASES = re.compile(r"\b(?:FROM|JOIN|,)\s+(\w+)\s+(?:AS\s+)?(\w+)\b", re.IGNORECASE)
Executed = list[tuple[str, Any]]


@contextmanager
def executed() -> Iterator[Executed]:
    said: Executed = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool) -> None:
        said.append((statement, parameters[0] if many else parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    yield said
    event.remove(db.engine, "before_cursor_execute", note)


def whole_reads(session: Session, statement: str, parameters: Any, growing: frozenset[str] = GROWING) -> list[str]:
    """Return the growing tables that a statement reads from end to end, as its database plans it."""
    if not statement.lstrip().upper().startswith(EXPLAINED):
        return []
    connection = session.connection()
    if dialect(session) == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        return sqlite_scans(statement, [row[3] for row in rows], growing)
    # As on a disk without moving parts: on another, reading a table of this size whole would be right.
    connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    found = plan if isinstance(plan, list) else json.loads(plan)
    return list(postgresql_scans(found[0]["Plan"], growing))


def sqlite_scans(statement: str, steps: list[str], growing: frozenset[str]) -> list[str]:
    """Return the steps that read a table or an index whole; one in its order up to a LIMIT is none."""
    names = {alias: table for table, alias in ALIASES.findall(statement)}
    stops = "LIMIT" in statement.upper() and not any("TEMP B-TREE" in step for step in steps)
    found = []
    for step in steps:
        verb, name, *how = step.split()
        table = names.get(name, name)
        # An insert's plan has the foreign keys of others, which are looked at only where a constraint is deferred.
        is_read = table in growing and table in statement and not PARTIAL & set(how)
        found += [step] if verb == "SCAN" and is_read and not (stops and "INDEX" in how) else []
    return found


def postgresql_scans(plan: dict[str, Any], growing: frozenset[str], stops: bool = False) -> Iterator[str]:
    """Yield the nodes that read a table or an index whole; one in its order up to a LIMIT is none."""
    kind, table = plan["Node Type"], plan.get("Relation Name")
    stops = (stops or kind == "Limit") and kind not in ("Sort", "Aggregate", "Hash", "WindowAgg")
    by_order = "Index" in kind and "Index Cond" not in plan and plan["Index Name"] not in PARTIAL
    if table in growing and (kind.endswith("Seq Scan") or (by_order and not stops)):
        yield f"{kind} {table}"
    for inner in plan.get("Plans", ()):
        yield from postgresql_scans(inner, growing, stops)
