"""Database connections: how many, and how long a request waits for them and for an answer."""

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

CONNECT_S = 5.0  # for a connection outside a request
FULL = re.compile(r"too many (clients|connections)|remaining connection slots|connection limit exceeded")
FULL_EVERY_S = 0.1
HARDLY_S = 0.05
log = logging.getLogger("matmon")
# The time that a request may still wait; None for background work.
_PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)


class Patience:
    """The seconds that a request may still lose to waits without an answer; a wait that is answered costs nothing."""

    def __init__(self, seconds: float) -> None:
        self.left_s = seconds

    def lost(self, seconds: float) -> None:
        self.left_s = max(self.left_s - seconds, HARDLY_S)


def engine_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"pool_size": settings.db_pool_size, "max_overflow": settings.db_max_overflow}
    options["hide_parameters"] = True  # queries and documents do not belong in a log
    if settings.is_postgresql:
        # Hosts close idle connections after five minutes; a dead one is noticed before it is used.
        options |= {"pool_pre_ping": True, "pool_recycle": 280, "pool_timeout": settings.db_timeout_s}
        options["connect_args"] = {"connect_timeout": int(CONNECT_S), "application_name": "matmon"}
    return options


def register(app: MatmonApp) -> None:
    """Bound how long a request waits for the database, and end its session safely.

    Call it after Flask-SQLAlchemy's own set-up: what is registered last runs first.
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
    """Limit a request's waits for PostgreSQL to DB_TIMEOUT_SECONDS, both for a connection and for answers."""
    import psycopg2.extensions

    # The driver itself waits for hours if the server or the network hangs.
    psycopg2.extensions.set_wait_callback(wait)
    app.before_request(lambda: _PATIENCE.set(Patience(settings.db_timeout_s)) and None)
    app.teardown_request(lambda _: _PATIENCE.set(None) and None)
    event.listen(engine, "do_connect", connected)

    @event.listens_for(engine, "checkout")
    def limit_statements(connection: Any, entry: ConnectionPoolEntry, _proxy: Any) -> None:
        """Let the server cancel a request's statement, which nobody waits for any more."""
        wanted = int(settings.db_timeout_s * 1000) if _PATIENCE.get() else 0
        if entry.info.get("statement_timeout", 0) != wanted:
            with connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {wanted}")
            connection.commit()
            entry.info["statement_timeout"] = wanted


def connected(_dialect: Dialect, _entry: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Return a new connection; retry for a while if the server has none left."""
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
    """Wait for the server's answer on a psycopg2 connection; raises OperationalError when the time is up.

    An exception here makes psycopg2 close the connection, so a late answer is never read.
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
    """Return the seconds that this wait may take: what the request has left, CONNECT_S to connect; None: no limit."""
    if patience := _PATIENCE.get():
        return patience.left_s
    return None if connection.status else CONNECT_S  # status 0: still connecting
