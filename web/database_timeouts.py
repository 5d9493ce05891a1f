"""The database as this process reaches it: how many connections, and how long a request waits for an answer."""

from __future__ import annotations

import logging
import re
import select
import time
from contextvars import ContextVar
from typing import Any

from flask import Flask
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from config import Settings
from models import db
from runtime import MatmonApp

CONNECT_S = 5.0  # for a connection made by nobody's request
FULL = re.compile(r"too many (clients|connections)|remaining connection slots|connection limit exceeded")
FULL_EVERY_S = 0.1
HARDLY_S = 0.05
log = logging.getLogger("matmon")
# What is left of a request's patience; none for what no visitor waits for, such as an import.
_PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)


class Patience:
    """How many seconds a request may still wait in vain: what was answered in time takes nothing from it."""

    def __init__(self, seconds: float) -> None:
        self.left_s = seconds

    def lost(self, seconds: float) -> None:
        self.left_s = max(self.left_s - seconds, HARDLY_S)


def engine_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"pool_size": settings.db_pool_size, "max_overflow": settings.db_max_overflow}
    options["hide_parameters"] = True  # what is searched for and stored does not belong in a log
    if settings.is_postgresql:
        # Hosts close idle connections after five minutes; a dead one is noticed before it is used.
        options |= {"pool_pre_ping": True, "pool_recycle": 280, "pool_timeout": settings.db_timeout_s}
        options["connect_args"] = {"connect_timeout": int(CONNECT_S), "application_name": "matmon"}
    return options


def register(app: MatmonApp) -> None:
    """Bound how long a request waits for the database, and end its session safely.

    To be called after Flask-SQLAlchemy's own set-up: what is registered last runs first.
    """
    app.teardown_appcontext(end_session)
    if app.runtime.settings.is_postgresql:
        limit_waits(app, app.runtime.engine, app.runtime.settings)


def end_session(_error: BaseException | None) -> None:
    """End the request's session. A connection cut meanwhile must not turn the finished response into a 500."""
    try:
        db.session.remove()
    except (OperationalError, InterfaceError) as error:
        log.warning("a connection was cut after its last answer: %s", str(error.orig)[:300])
        db.session.registry().invalidate()
        db.session.registry.clear()


def limit_waits(app: Flask, engine: Engine, settings: Settings) -> None:
    """Let no request wait longer than DB_TIMEOUT_SECONDS for PostgreSQL: neither for a connection nor an answer."""
    import psycopg2.extensions

    # The driver has no limit of its own where a server or a network hangs: it would wait for hours.
    psycopg2.extensions.set_wait_callback(wait)
    app.before_request(lambda: _PATIENCE.set(Patience(settings.db_timeout_s)) and None)
    app.teardown_request(lambda _: _PATIENCE.set(None) and None)
    event.listen(engine, "do_connect", connected)

    @event.listens_for(engine, "checkout")
    def limit_statements(connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        """Have the server itself give up a request's statement: it would go on working for nobody."""
        wanted = int(settings.db_timeout_s * 1000) if _PATIENCE.get() else 0
        if entry.info.get("statement_timeout", 0) != wanted:
            with connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {wanted}")
            connection.commit()
            entry.info["statement_timeout"] = wanted


def connected(_dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Return a new connection; a server that has none left is asked again for a while."""
    import psycopg2

    patience, began = _PATIENCE.get(), time.monotonic()
    while True:
        try:
            return psycopg2.connect(*arguments, **options)
        except psycopg2.OperationalError as error:
            waited = time.monotonic() - began
            if not FULL.search(str(error)) or waited > (patience.left_s if patience else CONNECT_S):
                raise
            time.sleep(FULL_EVERY_S)


def wait(connection: Any) -> None:
    """Wait for the server's answer on psycopg2's connection; raises OperationalError where patience is over.

    An exception here makes psycopg2 close the connection, so that nothing of a late answer is ever read.
    """
    import psycopg2
    from psycopg2 import extensions

    while (state := connection.poll()) != extensions.POLL_OK:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        limit_s, began = limit_of(connection), time.monotonic()
        if not waiting.poll(None if limit_s is None else limit_s * 1000):
            if patience := _PATIENCE.get():
                patience.lost(time.monotonic() - began)
            raise psycopg2.OperationalError(f"no answer within {limit_s:.1f} s")


def limit_of(connection: Any) -> float | None:
    """Return how many seconds this wait may take: a request's patience, a connection's time, or for ever."""
    if patience := _PATIENCE.get():
        return patience.left_s
    is_new = not connection.status
    return CONNECT_S if is_new else None
