"""flask import: a file of documents into a collection."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from commands.console import need_tables, progress_bar, record_command, refuse
from indexes.access import is_private_by_default
from indexing.importing import ImportReport, import_file
from indexing.layout import Options, mapping_of
from indexing.previews import Preview, preview
from indexing.rows import FileUnusable
from indexing.web_sources import download, is_web_address
from models import db
from utils.sql import freshen_statistics


@click.command("import")
@click.argument("file")
@click.option("--collection", default="documents", show_default=True, help="The collection to import into.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="The column of a field; may be repeated.")
@click.option("--tag-separator", help="What separates the tags of a cell, if it is guessed wrongly.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column to leave out; may be repeated.")
@click.option(
    "--private/--public", default=None,
    help="Only keys read the collection, from now on; or leave it open, also if it is new and called profiles.",
)  # fmt: skip
@click.option("--encoding", default="", help="The encoding of the file, if it is guessed wrongly: cp1255, utf-16 …")
@click.option("--records", default="", metavar="PATH", help="The list in a JSON object, such as results.items.")
@click.option("--sheet", default="", metavar="NAME", help="The sheet of a spreadsheet; else the first.")
@click.option("--tags-from-folders", "folder_tags", is_flag=True, help="Each folder that a file is in becomes a tag.")
@click.option("--sync", is_flag=True, help="Delete the documents of the collection that the file does not have.")
@click.option("--preview", "only_preview", is_flag=True, help="Show how the columns are read; write nothing.")
def import_command(
    file: str, collection: str, mapping: tuple[str, ...], tag_separator: str | None, drop: tuple[str, ...],
    private: bool | None, encoding: str, records: str, sheet: str, folder_tags: bool, sync: bool,
    only_preview: bool,
) -> None:  # fmt: skip
    """Import documents from a FILE: a table (.csv, .xlsx, .ods), JSON, exported bookmarks, or a text.

    FILE may also be a folder or a .zip of such files: a text, such as .md, .html, .pdf or .docx, is a document. An
    address of the web is fetched: a feed, a sitemap with its pages, a page, or a file.

    Importing the same file again changes nothing.
    """
    if not only_preview:
        need_tables()
    try:
        columns, more_body = mapping_of(mapping)
        options = Options(
            collection, columns, tag_separator, frozenset(drop), bool(private), more_body, encoding, records, sheet,
            folder_tags, sync,
        )  # fmt: skip
        with local_file(file) as path:
            if only_preview:
                click.echo(preview_text(preview(path, options)))
                return
            if private is None and is_private_by_default(db.session(), collection):
                options = replace(options, private=True)
                click.echo(f"{collection} is a new collection of people: it is private; --public leaves it open.")
            report = imported(path, options)
            if report.rejects and is_web_address(file):
                report.rejects = Path(shutil.move(report.rejects, report.rejects.name))
    except FileUnusable as error:
        refuse(f"{file}: {error}")
    freshen_statistics(db.session())
    record_command("import", collection)
    click.echo(report_text(report))
    sys.exit(report.exit_code)


@contextmanager
def local_file(given: str) -> Iterator[Path]:
    """Return a file or folder; what is at an address of the web is fetched, and deleted in the end."""
    if not is_web_address(given):
        yield Path(given).absolute()
        return
    with TemporaryDirectory() as folder:
        click.echo(f"Fetching {given} …", err=True)
        yield download(given, Path(folder))


def imported(path: Path, options: Options) -> ImportReport:
    size = path.stat().st_size if path.is_file() else 0
    with progress_bar(total=size, unit="B", unit_scale=True, desc=path.name) as bar:
        return import_file(db.session(), path, options, lambda done: bar.update(done - bar.n), own_process=True)


def preview_text(file_preview: Preview) -> str:
    """Return each column with its field and first value, the first documents, and the rows refused."""
    meanings = {"": "kept with the document", "-": "left out"}
    width = max(len(column.name) for column in file_preview.columns)
    lines = [
        f"{column.name:<{width}}  {meanings.get(column.field, column.field):<22}  {column.value}"
        for column in file_preview.columns
    ]
    for document in file_preview.documents:
        lines += ["", f"{document.own_id}: {document.title}", f"  {document.body[:100]}"]
        lines += [f"  {'; '.join(document.tags)}"]
    refused = [f"line {row.line}: {row.reason}" for row in file_preview.refused]
    return "\n".join([*lines, "", *refused, "Nothing was written."])


def report_text(report: ImportReport) -> str:
    written = report.written
    lines = [f"{written.new} new, {written.changed} changed, {written.unchanged} unchanged"]
    if report.duplicates:
        lines.append(f"{report.duplicates} rows have the same id as a later row, or repeat one, and count once")
    if report.unused_id:
        lines.append(
            f"{report.unused_id} is not the id: several rows share a value; --map id={report.unused_id} insists"
        )
    if report.deleted:
        lines.append(f"{report.deleted} deleted, which the file does not have")
    if report.not_synced:
        lines.append(f"nothing deleted: {report.not_synced} refused rows do not tell which document they are")
    if report.rejects:
        lines.append(f"{report.refused} rows refused: see {report.rejects}")
    return "\n".join(lines)
