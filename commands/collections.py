"""flask collection: which collections there are, and who may read them."""

from __future__ import annotations

import click
from sqlalchemy import select

from commands.console import need_tables, progress_bar, record_command, refuse
from indexes.access import set_private
from indexing.collections import delete_collection
from models import Collection, db, number


@click.group("collection")
def collection_command() -> None:
    """List collections; make one private, so that only keys read it, or public."""
    need_tables()


@collection_command.command("list")
def collection_list() -> None:
    """List the collections with their documents, and who may read them."""
    rows = db.session.execute(select(Collection).order_by(Collection.name)).scalars()
    for row in rows:
        click.echo(f"{row.name}: {row.documents} documents, {'private' if row.is_private else 'public'}")


@collection_command.command("private")
@click.argument("name")
def collection_private(name: str) -> None:
    """Let only keys read the collection NAME."""
    change(name, is_private=True)


@collection_command.command("public")
@click.argument("name")
def collection_public(name: str) -> None:
    """Let everybody read the collection NAME."""
    change(name, is_private=False)


@collection_command.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def collection_delete(name: str, yes: bool) -> None:
    """Delete the collection NAME with all its documents."""
    row = existing(name)
    if not yes:
        click.confirm(f"Delete {name} with its {row.documents} documents, for good?", abort=True)
    deleted = 0
    with progress_bar(total=row.documents, unit="documents") as bar:
        for deleted in delete_collection(db.session(), name):
            bar.update(deleted - bar.n)
    record_command("collection deleted", name)
    click.echo(f"Deleted {deleted} documents.")


def existing(name: str) -> Collection:
    row = db.session.get(Collection, number("collection", name))
    return row or refuse(f"There is no collection {name!r}: see flask --app app collection list")


def change(name: str, is_private: bool) -> None:
    existing(name)
    set_private(db.session(), name, is_private)
    record_command("collection private" if is_private else "collection public", name)
    click.echo(f"{name} is {'private' if is_private else 'public'}.")
