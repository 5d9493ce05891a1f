"""flask import: a file of documents into a collection."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from commands.console import need_tables, progress_bar, refuse
from indexing.importing import ImportReport, Options, Preview, import_file, mapping_of, preview
from indexing.reading import FileUnusable
from models import db
from utils.sql import freshen_statistics


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--collection", default="documents", show_default=True, help="The collection the documents join.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Which column is which field.")
@click.option("--tag-separator", help="What parts the tags of one cell; else ; or | or a comma.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column to leave out.")
@click.option(
    "--preview", "only_preview", is_flag=True, help="Show how the columns are understood; nothing is written."
)
def import_command(
    file: Path,
    collection: str,
    mapping: tuple[str, ...],
    tag_separator: str | None,
    drop: tuple[str, ...],
    only_preview: bool,
) -> None:
    """Import documents from a CSV, JSON lines or JSON FILE. The same file again changes nothing."""
    if not only_preview:
        need_tables()
    size = file.stat().st_size if file.is_file() else 0
    try:
        options = Options(collection, mapping_of(mapping), tag_separator, frozenset(drop))
        if only_preview:
            click.echo(previewed(preview(file, options)))
            return
        with progress_bar(total=size, unit="B", unit_scale=True, desc=file.name) as bar:
            on_bytes = partial(show_bytes, bar)
            report = import_file(db.session(), file, options, on_bytes, own_process=True)
    except FileUnusable as error:
        refuse(str(error))
    freshen_statistics(db.session())
    click.echo(summary(report))
    sys.exit(report.exit_code)


def previewed(found: Preview) -> str:
    """Return how a file is understood: each column with its meaning and first value, and the first documents."""
    meant = {"": "kept with the document", "-": "left out"}
    wide = max(len(column) for column, _, _ in found.columns)
    lines = [
        f"{column:<{wide}}  {meant.get(meaning, meaning):<22}  {shown}" for column, meaning, shown in found.columns
    ]
    for one in found.documents:
        lines += ["", f"{one.own_id}: {one.title}", f"  {one.body[:100]}", f"  {'; '.join(one.tags)}"]
    lines += ["", *(f"line {row.line}: {row.reason}" for row in found.refused), "Nothing was written."]
    return "\n".join(lines)


def show_bytes(bar: Any, done: int) -> None:
    bar.update(done - bar.n)


def summary(report: ImportReport) -> str:
    written = report.written
    lines = [f"{written.new} new, {written.changed} changed, {written.unchanged} unchanged"]
    if report.duplicates:
        lines.append(f"{report.duplicates} earlier rows with an id that a later row has: the later one counts")
    if report.rejects:
        lines.append(f"{report.refused} rows refused: see {report.rejects}")
    return "\n".join(lines)
