"""flask keys: keys for people and programs, made, listed and revoked."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from commands.console import need_tables, record_command, refuse
from models import ApiKey, db
from operations.keys import SCOPES, KeyRefused, about_key, create_key, end_of_day, list_keys, revoke_key


@click.group("keys")
def keys_command() -> None:
    """Make, list and revoke keys for people and programs."""
    need_tables()


@keys_command.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--collection", "collections", multiple=True, help="Opens only this collection; may be repeated.")
@click.option("--expires", default="", metavar="YYYY-MM-DD", help="The last day on which it can be used, by UTC.")
def keys_create(name: str, scopes: tuple[str, ...], collections: tuple[str, ...], expires: str) -> None:
    """Make a key called NAME and print it: it is stored nowhere, and cannot be printed again."""
    try:
        key, key_text = create_key(db.session(), name, scopes, collections, end_of_day(expires))
    except KeyRefused as error:
        refuse(str(error))
    record_command("key made", about_key(key))
    click.echo(key_text)


@keys_command.command("list")
def keys_list() -> None:
    """List the keys that are not revoked: number, name, scopes, collections, and when each was last used."""
    for key in list_keys(db.session()):
        click.echo(key_line(key))


def key_line(key: ApiKey) -> str:
    used = f"used {utc(key.used_at)}" if key.used_at else "never used"
    expires = f", until {utc(key.expires_at)}" if key.expires_at else ""
    where = ", ".join(key.collections) or "all collections"
    return f"{key.id}  {key.name}: {', '.join(key.scopes)}; {where}; made {utc(key.made_at)}, {used}{expires}"


def utc(seconds: int) -> str:
    """Return a time as an ISO date with minutes, by UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


@keys_command.command("revoke")
@click.argument("number", type=int)
def keys_revoke(number: int) -> None:
    """Revoke the key with this NUMBER, as `keys list` shows it: whoever signed in with it is signed out."""
    key = revoke_key(db.session(), number)
    if key is None:
        refuse(f"There is no key {number} that could be revoked: see flask --app app keys list")
    record_command("key revoked", about_key(key))
    click.echo(f"{key.name} is revoked.")
