"""flask backup | restore | export: all of it in a file, and a collection in a file for others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Table, select
from sqlalchemy.exc import DBAPIError

from commands.console import need_tables, progress_bar, refuse
from indexing.archive import Archive, ArchiveUnusable
from indexing.backup import backup, snapshot
from indexing.export import TooManyColumns, besides, exported_rows, write_csv, write_jsonl
from indexing.restore import NotEmpty, check_known, restore
from models import Collection, db, number
from utils.sql import freshen_statistics


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup_command(file: Path) -> None:
    """Write everything to FILE, as it is at this moment; the site goes on meanwhile."""
    need_tables()
    try:
        with progress_bar(unit="rows", desc=file.name) as bar:
            rows = backup(db.engine, file, bar.update)
    except OSError as error:
        refuse(
            f"{file} cannot be written: {error.strerror or error}. Nothing was left there; make room, or name a folder"
        )
    click.echo(f"{rows} rows, {file.stat().st_size / 1e6:.1f} MB: {file}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Lose what the database holds now.")
def restore_command(file: Path, replace: bool) -> None:
    """Write a backup back, whole or not at all, into any database; SQLite's into PostgreSQL too."""
    need_tables()
    try:
        archive = Archive(file)
        check_known(archive)
        with progress_bar(total=archive.manifest.rows, unit="rows", desc="verifying") as bar:
            archive.verify(bar.update)
        with progress_bar(total=archive.manifest.rows, unit="rows", desc="restoring") as bar:
            documents = restore(db.session(), archive, replace, bar.update, own_process=True)
    except (ArchiveUnusable, NotEmpty) as error:
        refuse(f"{error}. Nothing was written.")
    except DBAPIError as error:
        db.session.rollback()
        refuse(f"The database refused: {str(error.orig).strip()}. Nothing was written; what was there is as it was.")
    freshen_statistics(db.session())
    click.echo(f"{documents} documents restored.")


@click.command("export")
@click.option("--collection", required=True, help="The collection to write.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="jsonl", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else the standard output.")
def export_command(collection: str, form: str, output: Path | None) -> None:
    """Write a collection's documents as `flask import` takes them back."""
    need_tables()
    check_collection(collection)
    try:
        count = write_to(output, collection, form)
    except TooManyColumns as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{output or 'The output'} cannot be written: {error.strerror or error}")
    click.echo(f"{count} documents.", err=True)


def check_collection(name: str) -> None:
    session = db.session()
    if session.get(Collection, number("collection", name)) is None:
        table: Table = Collection.__table__  # type: ignore[assignment]
        names = session.execute(select(table.c.name).order_by(table.c.name).limit(20)).scalars()
        refuse(f"There is no collection {name!r}; there are: {', '.join(names) or 'none yet'}")


def write_to(output: Path | None, collection: str, form: str) -> int:
    """Write to a file that is there whole or not at all, or to the standard output."""
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        return write_form(sys.stdout, collection, form)
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8-sig" if form == "csv" else "utf-8", newline="") as file:
            count = write_form(file, collection, form)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    return count


def write_form(file: Any, collection: str, form: str) -> int:
    with snapshot(db.engine) as session:
        if form == "jsonl":
            return write_jsonl(file, exported_rows(session, collection))
        return write_csv(file, exported_rows(session, collection), besides(exported_rows(session, collection)))
