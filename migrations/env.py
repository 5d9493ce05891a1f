"""Alembic's entry: the app's own engine, one transaction a migration."""

import logging

from alembic import context
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import Connection

config = context.config
database = current_app.extensions["migrate"].db
log = logging.getLogger("matmon.migrations")


def later(connection: Connection) -> list[str]:
    """Return the database's revisions that this release does not know: a later one migrated it."""
    known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
    found = sorted(set(MigrationContext.configure(connection).get_current_heads()) - known)
    connection.rollback()
    return found


def run() -> None:
    with database.engine.connect() as connection:
        if unknown := later(connection):
            # A release that was taken back to is started by the same command: later ones only added to the tables.
            log.warning("The tables are of a later release (%s), and are left as they are", ", ".join(unknown))
            return
        context.configure(connection=connection, target_metadata=database.metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
