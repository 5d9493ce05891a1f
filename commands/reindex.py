"""flask reindex: the word index of stored documents."""

from __future__ import annotations

import threading

import click

from commands.console import need_tables
from indexing.reindexing import empty_former_index, index_stored
from models import db


@click.command("reindex")
@click.option("--drop-former", is_flag=True, help="Also empty the index of former releases, to free its space.")
def reindex_command(drop_former: bool) -> None:
    """Index the words of documents that an upgrade left without. The site does so by itself, in the background."""
    need_tables()
    count = index_stored(db.session(), threading.Event())
    click.echo(f"{count} documents indexed")
    if drop_former:
        empty_former_index(db.session())
        click.echo("The index of former releases is empty. To go back to one, restore a backup there")
