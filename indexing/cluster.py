"""A Citus cluster: which tables are distributed by document, and which every server has in full.

A document's rows lie on the server that has the document; what documents refer to is small and on every server; other
counts, queues and lists stay on the coordinator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text

from models import HALF_TABLES
from utils import citus
from utils.sql import dialect

BY_DOCUMENT = {
    "document": "id",
    "document_tag": "document_id",
    "words": "document_id",  # of former releases
    "embedding": "document_id",
    "screening_result": "document_id",
    "segment_block": "id",
}
EVERYWHERE = ("collection", "tag", "model")
LEAST_VERSION = (12,)
# A transaction writes both kinds of tables, so the parts of a statement must run one after another.
SEQUENTIAL = "citus.multi_shard_modify_mode"
HALVES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename LIKE :like ORDER BY 1"
GRAPHS = "SELECT tablename, indexname FROM pg_indexes WHERE tablename = ANY(:tables) AND indexdef LIKE '% hnsw %'"
ROWS = "SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = ANY(CAST(:tables AS regclass[]))"
# Rows left on the coordinator: useless copies once the tables are distributed.
LEFT = """
SELECT oid::regclass::text FROM pg_class WHERE oid = ANY(CAST(:tables AS regclass[])) AND pg_relation_size(oid) > 0
"""
SETTINGS = """
SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
WHERE d.datname = current_database() AND s.setrole = 0
"""
FOREIGN_KEYS = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conrelid = ANY(CAST(:tables AS regclass[])) ORDER BY 1, 2
"""


class CannotSpread(ValueError):
    """The tables cannot be distributed; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The statements that distribute the tables, in one transaction, and those that follow it."""

    shards: int
    tables: tuple[str, ...]
    inside: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        return not self.inside and not self.after


def plan(connection: Connection, shards: int | None = None) -> Plan:
    """Return the plan, with one shard per worker unless `shards` is given; raises CannotSpread."""
    for obstacle in _obstacles(connection):
        raise CannotSpread(obstacle)
    workers = [node for node in citus.nodes(connection) if not node.is_coordinator]
    placed = citus.placed(connection)
    existing = set(inspect(connection).get_table_names())  # a former release's tables may be fewer
    by_document = BY_DOCUMENT | dict.fromkeys(half_tables(connection), "document_id")
    by_document = {name: column for name, column in by_document.items() if name in existing}
    whole = [name for name in EVERYWHERE if name not in placed]
    spread = [name for name in by_document if name not in placed]
    shards = placed["document"].shards if "document" in placed else shards or len(workers)
    inside = [f"SELECT create_reference_table('{name}')" for name in whole]
    inside += _spreading(connection, {name: by_document[name] for name in spread}, shards)
    after = _afterwards(connection, list(by_document), spread)
    return Plan(shards, (*whole, *spread), tuple(inside), tuple(after))


def half_tables(connection: Connection) -> list[str]:
    """Return the halfvec tables, which are created at runtime and not by migrations."""
    return list(connection.execute(text(HALVES), {"like": HALF_TABLES.replace("_", "\\_") + "%"}).scalars())


def _obstacles(connection: Connection) -> Iterator[str]:
    if dialect(connection) != "postgresql":
        yield "The database is SQLite, one file on one host. Move to PostgreSQL first, with: flask --app app backup"
    version = citus.citus_version(connection)
    if version is None:
        yield ("This database has no Citus. On every server: shared_preload_libraries = 'citus', and in this database"
               " CREATE EXTENSION citus")  # fmt: skip
    elif tuple(int(part) for part in version.replace("-", ".").split(".")[:1]) < LEAST_VERSION:
        yield f"Citus is {version}; it must be {LEAST_VERSION[0]} or later"
    servers = citus.nodes(connection)
    if not any(node.is_coordinator for node in servers):
        yield "The coordinator has no address yet. Run on it: SELECT citus_set_coordinator_host('ITS HOST', ITS PORT)"
    if not any(not node.is_coordinator for node in servers):
        yield "There are no workers yet. Run on the coordinator, once for each: SELECT citus_add_node('HOST', PORT)"
    if lost := citus.unreachable(connection):
        yield f"These servers do not answer: {', '.join(sorted(lost))}"
    prepared = citus.on_workers(connection, "SHOW max_prepared_transactions")
    if bare := [address for address, most in prepared.items() if most == "0"]:
        yield f"max_prepared_transactions is 0 on {', '.join(bare)}: set it to 200 and restart the server"
    if not inspect(connection).has_table("screening_result"):
        yield "The tables are missing or of an earlier release. Run first: flask --app app db upgrade"


def _spreading(connection: Connection, tables: dict[str, str], shards: int) -> Iterator[str]:
    """Yield the statements; foreign keys are dropped until all tables are distributed."""
    names = {"tables": list(tables)}
    keys = connection.execute(text(FOREIGN_KEYS), names).all()
    # Graphs are built better once the rows are distributed.
    yield from (f"DROP INDEX {graph}" for _, graph in connection.execute(text(GRAPHS), names).all())
    yield from (f"ALTER TABLE {table} DROP CONSTRAINT {key}" for table, key, _ in keys)
    for name, column in tables.items():
        where = f"shard_count => {shards}" if name == "document" else "colocate_with => 'document'"
        yield f"SELECT create_distributed_table('{name}', '{column}', {where})"
    yield from (f"ALTER TABLE {table} ADD CONSTRAINT {key} {definition}" for table, key, definition in keys)


def _afterwards(connection: Connection, tables: list[str], now: list[str]) -> Iterator[str]:
    """Yield what remains after distributing, also if it was interrupted."""
    left = {row[0] for row in connection.execute(text(LEFT), {"tables": tables})}
    if not now and not left and is_sequential(connection):
        return
    name = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    yield f"ALTER DATABASE {name} SET {SEQUENTIAL} = 'sequential'"
    # Referencing tables first: a referenced table cannot be truncated.
    yield from (
        f"SELECT truncate_local_data_after_distributing_table('{name}')" for name in reversed(tables) if name in left
    )
    yield "ANALYZE"


def is_sequential(connection: Connection) -> bool:
    """Whether new connections to this database have the setting."""
    return any(f"{SEQUENTIAL}=sequential" in (row[0] or ()) for row in connection.execute(text(SETTINGS)))


def spread(connection: Connection, wanted: Plan) -> Iterator[str]:
    """Yield each statement before it is executed; the tables are distributed in one transaction."""
    connection.execute(text("SET LOCAL citus.enable_local_reference_table_foreign_keys = off"))
    connection.execute(text(f"SET LOCAL {SEQUENTIAL} = 'sequential'"))
    for statement in wanted.inside:
        yield statement
        connection.execute(text(statement))
    connection.commit()
    for statement in wanted.after:
        yield statement
        connection.execute(text(statement))
        connection.commit()


def rows_estimated(connection: Connection, tables: Iterable[str]) -> dict[str, int]:
    """Return the planner's estimate of the rows in tables."""
    return {row[0]: row[1] for row in connection.execute(text(ROWS), {"tables": list(tables)})}


def cluster_faults(connection: Connection) -> list[str]:
    """Return what is wrong with a cluster, and what to do."""
    faults = [f"{address} does not answer: restart it, or name its replacement with citus_update_node"
             for address in sorted(citus.unreachable(connection))]  # fmt: skip
    placed = citus.placed(connection)
    wanted = [*EVERYWHERE, *BY_DOCUMENT, *half_tables(connection)]
    again = "Run: flask --app app cluster distribute"
    if missing := [name for name in wanted if name not in placed]:
        faults.append(f"on the coordinator only: {', '.join(missing)}. {again}")
    elif not is_sequential(connection):
        faults.append(f"{SEQUENTIAL} is not set to sequential. {again}")
    return faults
