"""flask vectors: which index of embeddings serves and why; pgvector's, built and dropped."""

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
from indexes.pgvector_build import CannotBuild, build_index, building, make_extension
from indexes.pgvector_table import HalfvecTable, drop_halfvec_table
from indexing.stored_models import stored_models
from models import db, half_table
from utils.memory import MB

WHY = {
    "unasked": "no model is there",
    "not_postgresql": "the database is SQLite",
    "set": "VECTOR_INDEX is set to it",
    "fits": "what it holds is below VECTOR_INDEX_MEMORY_MB",
    "larger": "in memory it would be above VECTOR_INDEX_MEMORY_MB",
    "no_extension": "this PostgreSQL has no pgvector",
    "old_extension": "pgvector is older than 0.8; update it, then run in the database: ALTER EXTENSION vector UPDATE",
    "not_built": "pgvector's is not built; build it with: flask --app app vectors build",
    "incomplete": "pgvector's lacks embeddings; complete it with: flask --app app vectors build",
}


@click.group("vectors", invoke_without_command=True)
@click.pass_context
def vectors_command(context: click.Context) -> None:
    """Tell which index of embeddings serves, and why. Ends with 1 where VECTOR_INDEX=pgvector cannot be had."""
    if context.invoked_subcommand is not None:
        return
    need_tables()
    serving = serving_now()
    click.echo(f"{semantic_side().lazy.model}: {serving.serves or 'none'}, since {WHY[serving.why]}")
    for line in tables_told(db.session()):
        click.echo(line)
    if serving.is_refused:
        click.echo("VECTOR_INDEX=pgvector: searches are served from memory until that is mended", err=True)
        sys.exit(1)


def serving_now() -> Serving:
    """Return which index serves the model of this moment; none where there is no model."""
    side = semantic_side()
    side.model.follow(db.session())
    if side.model.manifest is None or side.model.key is None:
        return Serving(side.vector_index.wanted)
    choice = IndexChoice(side.model.key, side.model.manifest.dim, side.vector_index)
    choice.is_pgvector(db.session(), version_of(db.session()))
    return choice.serving


def tables_told(session: Session) -> list[str]:
    """Return a line for each model that has a table of halves."""
    lines = []
    for one in stored_models(session):
        if state := table_state(session, half_table(one.key)):
            how = "indexed" if state.is_indexed else "its index is being built, or was given up half-way"
            lines.append(f"  {one.name} ({one.checksum[:12]}): {state.nbytes / MB:.0f} MB in the database, {how}")
    return lines


@vectors_command.command("build")
@click.option("--model", default="", help="Another prepared model, before the site is switched to it.")
@click.option("--memory", type=click.IntRange(16, 65_536), default=256, show_default=True,
              help="Megabytes that the database may take meanwhile (maintenance_work_mem).")  # fmt: skip
def build_command(model: str, memory: int) -> None:
    """Build pgvector's index, or complete it. The site goes on meanwhile; a build that was killed is gone on with."""
    need_tables()
    halves = HalfvecTable(manifest_of(model))
    try:
        make_extension(db.session())
        with building(db.engine, halves.model, memory) as connection:
            halves.make(db.session())
            filled(db.session(), halves)
            with progress_bar(unit=" rows", desc="index") as bar:
                build_index(connection, db.session(), halves, lambda *seen: show_index(bar, *seen))
            filled(db.session(), halves)  # what came meanwhile
    except CannotBuild as error:
        refuse(str(error))
    except DBAPIError as error:
        db.session.rollback()
        refuse(f"The database refused: {str(error.orig).strip()}. What is done is kept; run it again to go on")
    state = table_state(db.session(), halves.table)
    click.echo(f"pgvector's index is built: {state.nbytes / MB if state else 0:.0f} MB in the database")


def filled(session: Session, halves: HalfvecTable) -> None:
    with progress_bar(total=halves.missing(session), unit=" rows", desc="embeddings") as bar:
        session.rollback()
        halves.fill(session, bar.update)


def show_index(bar: Any, phase: str, done: int, total: int) -> None:
    bar.set_description(phase)
    bar.total = max(total, done)
    bar.update(done - bar.n)


def manifest_of(model: str) -> Manifest:
    """Return the manifest of a model by its name, or of the one that serves; refuses where there is none."""
    side = semantic_side()
    if model:
        found = prepared_model(model)
        return found.manifest or found.load().manifest
    side.model.follow(db.session())
    if side.model.manifest is None:
        refuse("There is no model to build for: set SEMANTIC_MODEL, or name one with --model")
    return side.model.manifest


@vectors_command.command("drop")
@click.option("--model", default="", help="Another model than the one that serves.")
def drop_vectors_command(model: str) -> None:
    """Drop pgvector's index with its table; searches are then served from memory."""
    need_tables()
    halves = HalfvecTable(manifest_of(model))
    dropped = drop_halfvec_table(db.session(), halves.model)
    click.echo("Dropped." if dropped else "There is none.")
