"""flask collection: which collections there are, and who may read them."""

from __future__ import annotations

import click
from sqlalchemy import select

from commands.console import need_tables, record_command, refuse
from indexes.access import set_private
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


def change(name: str, is_private: bool) -> None:
    if db.session.get(Collection, number("collection", name)) is None:
        refuse(f"There is no collection {name!r}: see flask --app app collection list")
    set_private(db.session(), name, is_private)
    record_command("collection private" if is_private else "collection public", name)
    click.echo(f"{name} is {'private' if is_private else 'public'}.")
