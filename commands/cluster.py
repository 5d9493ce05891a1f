"""flask cluster: the database on several servers (Citus), planned, spread and looked at."""

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

# For a table that somebody uses: who waits for it longer makes all others wait behind.
PATIENCE_S = 20
LOCK_NOT_AVAILABLE = "55P03"
KINDS = {
    "distributed": "spread by {0.column}, shards: {0.shards}",
    "reference": "whole on every server",
    "local": "on the coordinator alone",
}
shards_option = click.option(
    "--shards", type=click.IntRange(1, 128), help="Parts of each table; as many as there are workers if not given."
)


@click.group("cluster")
def cluster_command() -> None:
    """Several PostgreSQL servers as one database (Citus): see docs/how-to/scale.md for when that pays."""
    need_tables()


@contextmanager
def cluster_connection() -> Iterator[Connection]:
    """Give a connection without limits of time; refuses with what the database says."""
    with db.engine.connect() as connection:
        connection.detach()  # with its settings it is of no use to others
        try:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text(f"SET lock_timeout = '{PATIENCE_S}s'"))
            yield connection
        except CannotSpread as error:
            refuse(str(error))
        except DBAPIError as error:
            refuse(f"The database refused: {str(error.orig).strip()}. {advice(error)}")
        finally:
            connection.rollback()


def advice(error: DBAPIError) -> str:
    if getattr(error.orig, "pgcode", "") == LOCK_NOT_AVAILABLE:
        return f"Something uses the tables for more than {PATIENCE_S} s: try again when imports and backups are over"
    return "What is there now: flask --app app cluster status"


@cluster_command.command("plan")
@shards_option
def plan_command(shards: int | None) -> None:
    """Tell what `distribute` would do, statement by statement, and what stands in the way; nothing is changed."""
    with cluster_connection() as connection:
        wanted = plan(connection, shards)
        tell_servers(connection)
        if wanted.is_done:
            click.echo(f"Nothing is to be done: the tables are spread, shards: {wanted.shards}")
            return
        rows = rows_estimated(connection, wanted.tables)
        click.echo(f"To be spread or copied, shards: {wanted.shards}; searches and writes wait meanwhile:")
        for name in wanted.tables:
            click.echo(f"  {name:<18} some {rows.get(name, 0):,} rows")
        for statement in (*wanted.inside, *wanted.after):
            click.echo(f"{statement};")


@cluster_command.command("distribute")
@shards_option
def distribute_command(shards: int | None) -> None:
    """Spread the tables over the workers: all of them or none. Run again after an upgrade that brings new tables."""
    with cluster_connection() as connection:
        wanted = plan(connection, shards)
        if wanted.is_done:
            click.echo(f"Nothing is to be done: the tables are spread, shards: {wanted.shards}")
            return
        with progress_bar(total=len(wanted.inside) + len(wanted.after), unit=" statements") as bar:
            for statement in spread(connection, wanted):
                bar.set_description(statement[:60])
                bar.update()
        click.echo(told(wanted))


def told(done: Plan) -> str:
    said = f"{len(done.tables)} tables are on several servers now, shards: {done.shards}."
    if any(statement.startswith("DROP INDEX") for statement in done.inside):
        said += " Build pgvector's index on them again: flask --app app vectors build"
    return said


@cluster_command.command("status")
def status_command() -> None:
    """Tell which servers answer, what each holds, and where every table lies. Ends with 1 where something is wrong."""
    with cluster_connection() as connection:
        if connection.dialect.name != "postgresql" or citus.citus_version(connection) is None:
            click.echo("One database server: there is no Citus in it, and none is needed")
            return
        tell_servers(connection)
        if not citus.is_spread(connection):
            click.echo("Nothing is spread yet; what would be done: flask --app app cluster plan")
            return
        tell_tables(connection)
        wrong = cluster_faults(connection)
        for one in wrong:
            click.echo(f"WRONG   {one}", err=True)
        sys.exit(1 if wrong else 0)


def tell_servers(connection: Connection) -> None:
    click.echo(f"Citus {citus.citus_version(connection)}")
    lost, held = citus.unreachable(connection), citus.held(connection)
    for node in citus.nodes(connection):
        what = "coordinator" if node.is_coordinator else "worker"
        shards, nbytes = held.get(node.address, (0, 0))
        state = "does not answer" if node.address in lost else f"{shards} parts of tables, {nbytes / MB:,.0f} MB"
        click.echo(f"  {what:<12} {node.address:<22} {state}")


def tell_tables(connection: Connection) -> None:
    placed = citus.placed(connection)
    for name in (*EVERYWHERE, *BY_DOCUMENT, *half_tables(connection)):
        where = KINDS[placed[name].kind].format(placed[name]) if name in placed else "on the coordinator alone"
        size = f", {placed[name].nbytes / MB:,.1f} MB" if name in placed else ""
        click.echo(f"  {name:<18} {where}{size}")
