"""flask backup | restore | export: the whole database in a file, and one collection in a file for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from commands.console import need_tables, progress_bar, record_command, refuse
from indexing.archive import Archive, ArchiveUnusable
from indexing.backup import backup, snapshot
from indexing.export import TooManyColumns, exported_rows, extra_columns, write_csv, write_jsonl
from indexing.restore import NotEmpty, check_known, restore
from models import db
from search.documents import collections
from utils.sql import freshen_statistics

OUTPUT_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("backup")
@click.argument("file", type=OUTPUT_FILE)
def backup_command(file: Path) -> None:
    """Write everything to FILE, as it is now, while the site runs."""
    need_tables()
    try:
        with progress_bar(unit="rows", desc=file.name) as bar:
            rows = backup(db.engine, file, bar.update)
    except OSError as error:
        refuse(f"{file} cannot be written: {error.strerror or error}. Nothing was left there; free some space or choose"
               " another folder")  # fmt: skip
    click.echo(f"{rows} rows, {file.stat().st_size / 1e6:.1f} MB: {file}")


@click.command("restore")
@click.argument("file", type=OUTPUT_FILE)
@click.option("--replace", is_flag=True, help="Delete what the database contains now.")
def restore_command(file: Path, replace: bool) -> None:
    """Restore a backup, completely or not at all, into any database, also from SQLite into PostgreSQL."""
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
        refuse(f"The database refused: {str(error.orig).strip()}. Nothing was written; what was there is unchanged.")
    freshen_statistics(db.session())
    record_command("restored", file.name)
    click.echo(f"{documents} documents restored.")


@click.command("export")
@click.option("--collection", required=True, help="The collection to export.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="jsonl", show_default=True)
@click.option("--output", type=OUTPUT_FILE, help="A file, if not the standard output.")
def export_command(collection: str, form: str, output: Path | None) -> None:
    """Write a collection's documents in a form that `flask import` reads."""
    need_tables()
    if collection not in (names := collections(db.session())):
        refuse(
            f"There is no collection {collection!r} with documents; there are: {', '.join(names[:20]) or 'none yet'}"
        )
    try:
        count = export_to(output, collection, form)
    except TooManyColumns as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{output or 'The output'} cannot be written: {error.strerror or error}")
    click.echo(f"{count} documents.", err=True)


def export_to(output: Path | None, collection: str, form: str) -> int:
    """Write to a file, completely or not at all, or to the standard output."""
    if output is None:
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        return export(sys.stdout, collection, form)
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8-sig" if form == "csv" else "utf-8", newline="") as file:
            count = export(file, collection, form)
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)
    return count


def export(file: Any, collection: str, form: str) -> int:
    with snapshot(db.engine) as session:
        rows = exported_rows(session, collection)
        if form == "jsonl":
            return write_jsonl(file, rows)
        return write_csv(file, rows, extra_columns(exported_rows(session, collection)))
