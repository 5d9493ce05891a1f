"""What the commands share: the model, a progress bar, and a clear exit if something is missing."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError

from encoders.base import Encoder
from models import db
from operations.audit import record
from search.semantic import Semantic
from web.current import runtime

LOADING_S = 120


def refuse(message: str) -> NoReturn:
    """Print an error and exit with 2: nothing was done."""
    click.echo(message, err=True)
    sys.exit(2)


def need_tables() -> None:
    try:
        has_tables = inspect(db.engine).has_table("state")
    except OperationalError as error:
        refuse(f"The database does not answer: {str(error.orig).strip()}")
    if not has_tables:
        refuse("The database has no tables yet: create them with flask --app app db upgrade")


def record_command(action: str, what: str = "") -> None:
    """Store in the audit log what a command did, and as which user of the system."""
    record(db.session(), action, what, f"command line, user {os.getuid()}")


def progress_bar(**options: Any) -> Any:
    from tqdm import tqdm

    return tqdm(disable=not sys.stderr.isatty(), **options)


def semantic_side(needs_model: bool = False) -> Semantic:
    side = runtime().semantic
    if needs_model and side.is_off:
        refuse("SEMANTIC_MODEL=none: semantic search is turned off; set it to a model, such as e5-small")
    return side


def loaded_encoder() -> Encoder:
    side = semantic_side(needs_model=True)
    if not side.lazy.load(LOADING_S) or side.lazy.encoder is None:
        refuse(f"The model {side.lazy.model} cannot be loaded: {side.lazy.error}")
    return side.lazy.encoder
