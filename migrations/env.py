"""Alembic's entry: the app's own engine, one transaction a migration."""

from alembic import context
from flask import current_app

config = context.config
database = current_app.extensions["migrate"].db


def run() -> None:
    with database.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=database.metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
