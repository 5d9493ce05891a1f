"""flask audit: who did what, when and from where."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from commands.console import need_tables
from commands.keys import utc
from models import AuditEntry, db
from operations.audit import ACTIONS, audit_entries


@click.command("audit")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="How many at most.")
@click.option("--action", type=click.Choice(ACTIONS), default=None, help="Only this.")
@click.option("--who", default="", help="Only entries of who has this in the name.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only from this day on, by UTC.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def audit_command(limit: int, action: str | None, who: str, since: datetime | None, as_json: bool) -> None:
    """Show the audit log, newest first. What people searched for is not in it."""
    need_tables()
    first = int(since.replace(tzinfo=UTC).timestamp()) if since else 0
    for entry in audit_entries(db.session(), action=action or "", who=who, since=first, limit=limit):
        click.echo(audit_json(entry) if as_json else audit_line(entry))


def audit_line(entry: AuditEntry) -> str:
    origin = f" from {entry.client}" if entry.client else ""
    return f"{utc(entry.at)}  {entry.who}{origin}: {entry.action}{'  ' + entry.what if entry.what else ''}"


def audit_json(entry: AuditEntry) -> str:
    values = {name: getattr(entry, name) for name in ("at", "who", "client", "action", "what")}
    return json.dumps(values, ensure_ascii=False)
