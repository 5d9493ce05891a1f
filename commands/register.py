"""The list of the flask commands."""

from __future__ import annotations

from flask import Flask

from commands.audit import audit_command
from commands.backup import backup_command, export_command, restore_command
from commands.check import check_command
from commands.cluster import cluster_command
from commands.collections import collection_command
from commands.forget import forget_command
from commands.imports import import_command
from commands.keys import keys_command
from commands.mcp import mcp_command
from commands.models import embed_command, models_command, serve_embeddings_command
from commands.reindex import reindex_command
from commands.search import evaluate_command, search_command
from commands.vectors import vectors_command
from commands.worker import worker_command


def register(app: Flask) -> None:
    for command in (
        import_command,
        reindex_command,
        embed_command,
        search_command,
        evaluate_command,
        models_command,
        vectors_command,
        cluster_command,
        serve_embeddings_command,
        backup_command,
        restore_command,
        export_command,
        worker_command,
        check_command,
        keys_command,
        audit_command,
        forget_command,
        collection_command,
        mcp_command,
    ):
        app.cli.add_command(command)
