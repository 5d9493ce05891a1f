"""flask import | embed | search | evaluate: the same engine as the pages, from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from flask import Flask

from indexing.importing import Options, Report, import_file
from indexing.reading import FileUnusable
from models import db


def register(app: Flask) -> None:
    for command in (import_command,):
        app.cli.add_command(command)


def refuse(message: str) -> None:
    """Say what is wrong and end with 2: nothing was done."""
    click.echo(message, err=True)
    sys.exit(2)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--collection", default="documents", show_default=True, help="The collection the documents join.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="Which column is which field.")
@click.option("--tag-separator", help="What parts the tags of one cell; else ; or | or a comma.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column to leave out.")
def import_command(
    file: Path, collection: str, mapping: tuple[str, ...], tag_separator: str | None, drop: tuple[str, ...]
) -> None:
    """Import documents from a CSV, JSON lines or JSON FILE. The same file again changes nothing."""
    from tqdm import tqdm

    if any("=" not in pair for pair in mapping):
        refuse("--map takes FIELD=COLUMN, such as --map title=name")
    pairs = dict(pair.split("=", 1) for pair in mapping)
    options = Options(collection, pairs, tag_separator, frozenset(drop))
    size = file.stat().st_size if file.is_file() else 0
    try:
        with tqdm(total=size, unit="B", unit_scale=True, desc=file.name, disable=not sys.stderr.isatty()) as bar:
            report = import_file(db.session(), file, options, lambda done: bar.update(done - bar.n))
    except FileUnusable as error:
        refuse(str(error))
    click.echo(summary(report))
    sys.exit(report.exit_code)


def summary(report: Report) -> str:
    written = report.written
    lines = [f"{written.new} new, {written.changed} changed, {written.unchanged} unchanged"]
    if report.duplicates:
        lines.append(f"{report.duplicates} earlier rows with an id that a later row has: the later one counts")
    if report.rejects:
        lines.append(f"{report.refused} rows refused: see {report.rejects}")
    return "\n".join(lines)
