"""create_app(): wires the parts, nothing else; `app` is for gunicorn and the flask command."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from flask import Flask

from config import Settings, read_settings
from models import db
from utils.sql import prepare_sqlite


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application; raises config.BadSetting where the environment cannot be used."""
    settings = settings or read_settings()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    app = Flask(__name__)
    app.config.update(flask_settings(settings))
    app.extensions["matmon.settings"] = settings
    connect_database(app, settings)
    add_commands(app)
    return app


def flask_settings(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings),
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "BABEL_DEFAULT_LOCALE": settings.default_locale,
        "MAX_CONTENT_LENGTH": 256 * 1024 * 1024,
    }


def engine_options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"pool_size": settings.db_pool_size, "max_overflow": settings.db_max_overflow}
    if settings.is_postgresql:
        # Hosts close idle connections after five minutes; a dead one is noticed before it is used.
        options |= {"pool_pre_ping": True, "pool_recycle": 280, "pool_timeout": 5}
        options["connect_args"] = {"connect_timeout": 5}
    return options


def connect_database(app: Flask, settings: Settings) -> None:
    settings.instance_dir.mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    with app.app_context():
        prepare_sqlite(db.engine)


def add_commands(app: Flask) -> None:
    """Commands only where the flask command runs: Alembic alone would cost the web process 6 MB."""
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
        return
    from commands import register

    register(app)
    if "db" in sys.argv:
        from flask_migrate import Migrate

        Migrate(app, db)


def __getattr__(name: str) -> Flask:
    """Make `app` when it is first asked for, so that importing this module in a test starts nothing."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = made = create_app()
    return made
