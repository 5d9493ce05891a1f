"""flask cluster: distribute the database over several servers (Citus), and show its state."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from commands.console import need_tables, progress_bar, refuse
from indexing.cluster import (
    BY_DOCUMENT,
    EVERYWHERE,
    CannotSpread,
    Plan,
    cluster_faults,
    half_tables,
    plan,
    rows_estimated,
    spread,
)
from models import db
from utils import citus
from utils.memory import MB

LOCK_TIMEOUT_S = 20  # for a table in use: while a statement waits for its lock, all others queue behind it
LOCK_NOT_AVAILABLE = "55P03"
KINDS = {
    "distributed": "distributed by {0.column}, shards: {0.shards}",
    "reference": "complete on every server",
    "local": "on the coordinator only",
}
shards_option = click.option(
    "--shards", type=click.IntRange(1, 128), help="Parts of each table; one for each worker if not given."
)


@click.group("cluster")
def cluster_command() -> None:
    """Several PostgreSQL servers as one database (Citus); docs/how-to/scale.md says when that pays."""
    need_tables()


@contextmanager
def cluster_connection() -> Iterator[Connection]:
    """Open a connection without a statement timeout; exits with the database's message after an error."""
    with db.engine.connect() as connection:
        connection.detach()  # its settings must not return to the pool
        try:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"))
            yield connection
        except CannotSpread as error:
            refuse(str(error))
        except DBAPIError as error:
            advice = "What is there now: flask --app app cluster status"
            if getattr(error.orig, "pgcode", "") == LOCK_NOT_AVAILABLE:
                busy = f"Something uses the tables for more than {LOCK_TIMEOUT_S} s"
                advice = f"{busy}: try again when imports and backups are over"
            refuse(f"The database refused: {str(error.orig).strip()}. {advice}")
        finally:
            connection.rollback()


def is_distributed(tables_plan: Plan) -> bool:
    """Tell whether nothing is left to do, and print it."""
    if tables_plan.is_done:
        click.echo(f"Nothing is to be done: the tables are distributed, shards: {tables_plan.shards}")
    return tables_plan.is_done


@cluster_command.command("plan")
@shards_option
def plan_command(shards: int | None) -> None:
    """Show the statements that `distribute` would execute, or what prevents it; nothing is changed."""
    with cluster_connection() as connection:
        tables_plan = plan(connection, shards)
        print_servers(connection)
        if is_distributed(tables_plan):
            return
        rows = rows_estimated(connection, tables_plan.tables)
        click.echo(f"To be distributed, shards: {tables_plan.shards}; searches and writes wait meanwhile:")
        for name in tables_plan.tables:
            click.echo(f"  {name:<18} about {rows.get(name, 0):,} rows")
        for statement in (*tables_plan.inside, *tables_plan.after):
            click.echo(f"{statement};")


@cluster_command.command("distribute")
@shards_option
def distribute_command(shards: int | None) -> None:
    """Distribute the tables over the workers, all or none. Run it again after an upgrade that adds tables."""
    with cluster_connection() as connection:
        tables_plan = plan(connection, shards)
        if is_distributed(tables_plan):
            return
        with progress_bar(total=len(tables_plan.inside) + len(tables_plan.after), unit=" statements") as bar:
            for statement in spread(connection, tables_plan):
                bar.set_description(statement[:60])
                bar.update()
        click.echo(f"{len(tables_plan.tables)} tables are on several servers now, shards: {tables_plan.shards}.")
        if any(statement.startswith("DROP INDEX") for statement in tables_plan.inside):
            click.echo("Build the index of pgvector again: flask --app app vectors build")


@cluster_command.command("status")
def status_command() -> None:
    """Show which servers answer, what each holds, and where each table is; exit with 1 if something is wrong."""
    with cluster_connection() as connection:
        if connection.dialect.name != "postgresql" or citus.citus_version(connection) is None:
            click.echo("One database server, without Citus: it does not need it")
            return
        print_servers(connection)
        if not citus.is_spread(connection):
            click.echo("Nothing is distributed yet; to see what would be done: flask --app app cluster plan")
            return
        print_tables(connection)
        faults = cluster_faults(connection)
        for fault in faults:
            click.echo(f"WRONG   {fault}", err=True)
        sys.exit(1 if faults else 0)


def print_servers(connection: Connection) -> None:
    click.echo(f"Citus {citus.citus_version(connection)}")
    unreachable, held = citus.unreachable(connection), citus.held(connection)
    for node in citus.nodes(connection):
        role = "coordinator" if node.is_coordinator else "worker"
        shards, nbytes = held.get(node.address, (0, 0))
        state = "does not answer" if node.address in unreachable else f"{shards} shards, {nbytes / MB:,.0f} MB"
        click.echo(f"  {role:<12} {node.address:<22} {state}")


def print_tables(connection: Connection) -> None:
    placed = citus.placed(connection)
    for name in (*EVERYWHERE, *BY_DOCUMENT, *half_tables(connection)):
        where = KINDS[placed[name].kind].format(placed[name]) if name in placed else KINDS["local"]
        size = f", {placed[name].nbytes / MB:,.1f} MB" if name in placed else ""
        click.echo(f"  {name:<18} {where}{size}")
