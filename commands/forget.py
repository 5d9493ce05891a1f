"""flask forget: a document erased with every trace of it."""

from __future__ import annotations

import click

from commands.console import need_tables, record_command, refuse
from models import db
from operations.audit import FORGOTTEN, about_document
from operations.forgetting import Places, forget_document
from search.documents import collections
from web.current import runtime

LEFT = {
    "log": "A process reads the database: its log still holds a part. Restart the site, then run this again.",
    "space": "The freed space could not be erased: free some disk space, then run this again.",
    "cache": "Redis did not answer: what it holds expires by itself, or run this again.",
}
BACKUPS = "Backups, logs of the host and copies elsewhere are not touched: delete them as your rules say."


@click.command("forget")
@click.option("--document", "own_id", required=True, metavar="ID", help="The document's own id.")
@click.option("--collection", required=True, help="The collection that it is, or was, in.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget_command(own_id: str, collection: str, yes: bool) -> None:
    """Erase a document with every trace: texts, indexes, tags, screenings, uploads, caches and freed space.

    A document that was deleted before leaves traces too: they are removed likewise.
    """
    need_tables()
    if not yes:
        click.confirm(f"Erase {own_id!r} of {collection!r} for good?", abort=True)
    named = runtime()
    places = Places(named.upload_folder, named.index_folder, named.empty_caches)
    forgotten = forget_document(db.session(), collection, own_id, places)
    record_command("document forgotten", about_document(collection, FORGOTTEN))
    if not forgotten.is_stored:
        known = ", ".join(collections(db.session())[:20]) or "none yet"
        click.echo(f"No document {own_id!r} was stored in {collection!r} (collections: {known}).")
    for name, count in forgotten.counts.items():
        click.echo(f"{name}: {count}")
    for reason in forgotten.left:
        click.echo(LEFT[reason], err=True)
    click.echo(BACKUPS)
    if forgotten.left:
        refuse("Not everything could be erased.")
