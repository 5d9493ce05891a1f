"""A Citus cluster as the database describes it: its servers, where each table lies, and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from utils.sql import dialect

Kind = Literal["distributed", "reference", "local"]

VERSION = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
NODES = """
SELECT nodename, nodeport, groupid = 0 FROM pg_dist_node ORDER BY groupid, nodename, nodeport
"""
PLACED = """
SELECT table_name::text, citus_table_type, distribution_column, shard_count,
  citus_total_relation_size(table_name, fail_on_error => false) FROM citus_tables
"""
IS_SPREAD = "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass(:table))"
HELD = """
SELECT nodename, nodeport, count(*), sum(shard_size) FROM citus_shards WHERE citus_table_type = 'distributed'
GROUP BY 1, 2
"""
HEALTH = "SELECT to_nodename, to_nodeport, bool_and(result) FROM citus_check_cluster_node_health() GROUP BY 1, 2"
ON_WORKERS = "SELECT nodename, nodeport, success, result FROM run_command_on_workers(:command)"


@dataclass(frozen=True, slots=True)
class Node:
    """A server of the cluster; the coordinator is asked for what lies on it."""

    name: str
    port: int
    is_coordinator: bool

    @property
    def address(self) -> str:
        return f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a table lies: in shards by a column, or in full on every server; bytes include its indexes."""

    kind: Kind
    column: str
    shards: int
    nbytes: int


def citus_version(connection: Connection | Session) -> str | None:
    """Return the version of the extension in this database; None if it is not installed."""
    installed: str | None = connection.execute(text(VERSION)).scalar()
    return installed


def is_spread(connection: Connection | Session, table: str = "document") -> bool:
    """Whether a table is distributed over several servers; False without Citus."""
    if dialect(connection) != "postgresql" or citus_version(connection) is None:
        return False
    return bool(connection.execute(text(IS_SPREAD), {"table": table}).scalar())


def nodes(connection: Connection) -> list[Node]:
    return [Node(*row) for row in connection.execute(text(NODES))]


def placed(connection: Connection) -> dict[str, Placed]:
    """Return where each table lies, by name."""
    return {row[0]: Placed(row[1], row[2], row[3], row[4] or 0) for row in connection.execute(text(PLACED))}


def held(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return each server's number of shards and their bytes, by address."""
    return {f"{row[0]}:{row[1]}": (row[2], int(row[3] or 0)) for row in connection.execute(text(HELD))}


def unreachable(connection: Connection) -> set[str]:
    """Return the addresses of servers that another server cannot reach."""
    return {f"{row[0]}:{row[1]}" for row in connection.execute(text(HEALTH)) if not row[2]}


def on_workers(connection: Connection, command: str) -> dict[str, str]:
    """Return each worker's result of a command, by address."""
    return {f"{row[0]}:{row[1]}": row[3] for row in connection.execute(text(ON_WORKERS), {"command": command})}


def total_bytes(session: Session, table: str) -> int:
    """Return the bytes of a table with its indexes, on all servers."""
    size = "citus_total_relation_size" if is_spread(session, table) else "pg_total_relation_size"
    return int(session.execute(text(f"SELECT {size}(to_regclass(:table))"), {"table": table}).scalar_one())
