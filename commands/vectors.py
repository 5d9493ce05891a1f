"""flask vectors: which index of embeddings is in use and why; build and drop that of pgvector."""

from __future__ import annotations

import sys
from typing import Any

import click
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from commands.console import need_tables, progress_bar, refuse, semantic_side
from commands.models import prepared_model
from encoders.manifest import Manifest
from indexes.choice import IndexChoice, Serving, version_of
from indexes.pgvector import table_state
from indexes.pgvector_build import CannotBuild, HalfvecTable, build_index, building, drop_halfvec_table, make_extension
from indexing.stored_models import stored_models
from models import db, half_table
from utils.memory import MB

WHY = {
    "unasked": "there is no model",
    "not_postgresql": "the database is SQLite",
    "set": "VECTOR_INDEX is set to it",
    "fits": "the embeddings take less than VECTOR_INDEX_MEMORY_MB",
    "larger": "in memory the embeddings would take more than VECTOR_INDEX_MEMORY_MB",
    "no_extension": "this PostgreSQL has no pgvector",
    "old_extension": "pgvector is older than 0.8; update it, then run in the database: ALTER EXTENSION vector UPDATE",
    "not_built": "the index of pgvector is not built; build it with: flask --app app vectors build",
    "incomplete": "the index of pgvector lacks embeddings; complete it with: flask --app app vectors build",
}


@click.group("vectors", invoke_without_command=True)
@click.pass_context
def vectors_command(context: click.Context) -> None:
    """Show which index of embeddings is in use, and why; exit with 1 if VECTOR_INDEX=pgvector is not possible."""
    if context.invoked_subcommand is not None:
        return
    need_tables()
    serving = serving_now()
    click.echo(f"{semantic_side().lazy.model}: {serving.serves or 'none'}, since {WHY[serving.why]}")
    for line in table_lines(db.session()):
        click.echo(line)
    if serving.is_refused:
        click.echo("VECTOR_INDEX=pgvector: embeddings are searched in memory until that is fixed", err=True)
        sys.exit(1)


def serving_now() -> Serving:
    """Return which index is in use for the current model; none without a model."""
    side = semantic_side()
    side.model.follow(db.session())
    if side.model.manifest is None or side.model.key is None:
        return Serving(side.vector_index.wanted)
    choice = IndexChoice(side.model.key, side.model.manifest.dim, side.vector_index)
    choice.is_pgvector(db.session(), version_of(db.session()))
    return choice.serving


def table_lines(session: Session) -> list[str]:
    """Return a line for each model that has a halfvec table."""
    lines = []
    for model in stored_models(session):
        if state := table_state(session, half_table(model.key)):
            how = "indexed" if state.is_indexed else "its index is being built, or was interrupted"
            lines.append(f"  {model.name} ({model.checksum[:12]}): {state.nbytes / MB:.0f} MB in the database, {how}")
    return lines


@vectors_command.command("build")
@click.option("--model", default="", help="Another prepared model, before switching to it.")
@click.option("--memory", type=click.IntRange(16, 65_536), default=256, show_default=True,
              help="Megabytes that the database may use for it (maintenance_work_mem).")  # fmt: skip
def build_command(model: str, memory: int) -> None:
    """Build the index of pgvector, or complete it, while the site runs; a build that was interrupted is resumed."""
    need_tables()
    table = HalfvecTable(manifest_of(model))
    try:
        make_extension(db.session())
        with building(db.engine, table.model, memory) as connection:
            table.make(db.session())
            fill(db.session(), table)
            with progress_bar(unit=" rows", desc="index") as bar:
                build_index(connection, db.session(), table, lambda *progress: show_progress(bar, *progress))
            fill(db.session(), table)  # embeddings that were added meanwhile
    except CannotBuild as error:
        refuse(str(error))
    except DBAPIError as error:
        db.session.rollback()
        refuse(f"The database refused: {str(error.orig).strip()}. What is done is kept; run it again to go on")
    state = table_state(db.session(), table.table)
    click.echo(f"The index of pgvector is built: {state.nbytes / MB if state else 0:.0f} MB in the database")


def fill(session: Session, table: HalfvecTable) -> None:
    with progress_bar(total=table.missing(session), unit=" rows", desc="embeddings") as bar:
        session.rollback()
        table.fill(session, bar.update)


def show_progress(bar: Any, phase: str, done: int, total: int) -> None:
    bar.set_description(phase)
    bar.total = max(total, done)
    bar.update(done - bar.n)


def manifest_of(model: str) -> Manifest:
    """Return the manifest of a model, or of the current one; exits if there is none."""
    if model:
        found = prepared_model(model)
        return found.manifest or found.load().manifest
    side = semantic_side()
    side.model.follow(db.session())
    return side.model.manifest or refuse("There is no model to build for: set SEMANTIC_MODEL, or name one with --model")


@vectors_command.command("drop")
@click.option("--model", default="", help="Another model than the current one.")
def drop_vectors_command(model: str) -> None:
    """Drop the index of pgvector with its table; embeddings are then searched in memory."""
    need_tables()
    dropped = drop_halfvec_table(db.session(), HalfvecTable(manifest_of(model)).model)
    click.echo("Dropped." if dropped else "There is none.")
