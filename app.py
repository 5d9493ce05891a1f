"""create_app(): builds the Runtime and registers the blueprints; `app` is for gunicorn and the flask command."""

from __future__ import annotations

import os

# Before numpy is imported: a second thread makes small products slower, and spins on the host's other processes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import logging
import sys
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from flask import Flask
from flask_babel import Babel, get_locale
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.engine import make_url
from werkzeug.middleware.proxy_fix import ProxyFix

import api.documents
import api.imports
import api.matching
import api.mcp
import api.operations
import api.saved_searches
import api.screenings
import api.search
import pages.api_reference
import pages.audit
import pages.collections
import pages.documents
import pages.forgetting
import pages.imports
import pages.keys
import pages.matching
import pages.saved_searches
import pages.screenings
import pages.site
import routes
from api.requests import check_arguments
from config import Settings, exit_on_bad_setting, read_settings, renamed_in_use
from models import db
from operations.logs import configuration
from pages import formats
from runtime import MatmonApp, Runtime
from utils.memory import keep_heap_small
from utils.private_files import database_files, tighten
from utils.sql import prepare_sqlite
from web import (
    access,
    addresses,
    body_limits,
    compression,
    cpu_limits,
    database_timeouts,
    errors,
    headers,
    rate_limits,
    request_log,
)
from web.hosts import HostCheck
from web.sessions import LIFETIME, Cookie, check_sessions

OWN_FOLDERS = ("uploads", "remote")  # in the instance folder
STATIC_AGE_S = 31_536_000
PAGES = (
    routes.search_pages,
    pages.matching.matching_pages,
    pages.screenings.screening_pages,
    pages.saved_searches.saved_search_pages,
    pages.imports.import_pages,
    pages.audit.audit_pages,
    pages.forgetting.forget_pages,
    pages.keys.key_pages,
    pages.site.site_pages,
    pages.collections.collection_pages,
    pages.api_reference.reference_pages,
    pages.documents.document_pages,
)
API = (
    api.search.search_api,
    api.documents.document_api,
    api.matching.matching_api,
    api.screenings.screening_api,
    api.saved_searches.saved_search_api,
    api.imports.import_api,
    api.operations.operations_api,
    api.mcp.mcp_api,
)


def create_app(settings: Settings | None = None) -> MatmonApp:
    """Return the application; raises config.BadSetting."""
    settings = settings or read_settings()
    keep_heap_small()
    if not logging.getLogger().handlers:  # unless whoever runs the app has configured logging already
        dictConfig(configuration(settings.log_format))
    for sentence in renamed_in_use(os.environ):
        logging.getLogger("config").warning("%s", sentence)
    app = MatmonApp(__name__)
    app.session_interface = Cookie()
    app.config.update(flask_settings(settings))
    # Hebrew in responses is readable, and takes two bytes a letter instead of six.
    app.json.ensure_ascii = app.json.sort_keys = False  # type: ignore[attr-defined]
    keep_files_private(settings)
    db.init_app(app)
    with app.app_context():
        prepare_sqlite(db.engine)
        app.runtime = Runtime(settings, db.engine)
    database_timeouts.register(app)
    request_log.register(app)
    add_views(app)
    errors.register(app)
    add_commands(app)
    return app


def keep_files_private(settings: Settings) -> None:
    """Create the instance folder; what this and earlier releases store is closed to those whom the umask excludes."""
    umask = int(settings.umask, 8)
    os.umask(umask)
    folder, database = settings.instance_dir, make_url(settings.database_url).database or ""
    folder.mkdir(parents=True, exist_ok=True)
    files = [] if settings.is_postgresql else database_files(database)
    tighten([folder, *files], umask)
    for name in OWN_FOLDERS:
        tighten([folder / name, *(folder / name).glob("*")], umask)


def flask_settings(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": database_timeouts.engine_options(settings),
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "PERMANENT_SESSION_LIFETIME": LIFETIME,
        # A form's token is valid as long as its session: a page left open, or a changed clock, is no forgery.
        "WTF_CSRF_TIME_LIMIT": None,
        "SEND_FILE_MAX_AGE_DEFAULT": STATIC_AGE_S,
        "BABEL_DEFAULT_LOCALE": settings.default_locale,
        "RATELIMIT_STORAGE_URI": "bounded://",
        "RATELIMIT_HEADERS_ENABLED": True,
    }


def add_views(app: MatmonApp) -> None:
    settings = app.runtime.settings
    app.wsgi_app = HostCheck(app.wsgi_app, settings.trusted_hosts)  # type: ignore[method-assign]
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    compression.register(app)  # the last that is done to a response
    addresses.register(app)
    Babel(app, locale_selector=addresses.locale)
    access.restrict_reading(app)
    cpu_limits.register(app)  # before anything of a request is read
    app.before_request(check_arguments)
    body_limits.register(app)  # before the CSRF check, which reads a form
    csrf = CSRFProtect(app)
    for blueprint in API:
        csrf.exempt(blueprint)  # its writes need a bearer token or JSON, which no other site's form can send
    access.register(app)
    for blueprint in (*PAGES, *API):
        app.register_blueprint(blueprint)
    if settings.check_sessions or app.debug:
        check_sessions(app)
    app.after_request(headers.with_headers)  # before the limiter's own, so that it runs after it
    rate_limits.register(app)
    formats.register(app)
    add_to_templates(app)
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # `flask run` has no hook for the start of a worker
        app.before_request(app.runtime.watch.history.start)
        app.before_request(app.runtime.guard.start)


def add_to_templates(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        address=addresses.address,
        address_in=addresses.address_in,
        document_address=addresses.document_address,
        document_url=addresses.document_url,
        page_numbers=addresses.page_numbers,
        safe_link=addresses.safe_link,
        search_title=addresses.search_title,
        locale=lambda: str(get_locale()),
        own_addresses=addresses.own_addresses,
        static_version=static_version(Path(app.static_folder or "static")),
    )


def static_version(folder: Path) -> str:
    """Return a value for the URLs of static files that changes when one of them does: they are cached for a year."""
    return format(max((int(path.stat().st_mtime) for path in folder.rglob("*") if path.is_file()), default=0), "x")


def add_commands(app: Flask) -> None:
    """Add the commands only if the flask command runs: Alembic alone would cost the web process 6 MB."""
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":
        return
    from commands.register import register

    register(app)
    if "db" in sys.argv:
        from flask_migrate import Migrate

        Migrate(app, db)


def __getattr__(name: str) -> Flask:
    """Create `app` when it is first read, so that importing this module in a test starts nothing."""
    if name != "app":
        raise AttributeError(name)
    with exit_on_bad_setting():
        globals()["app"] = instance = create_app()
    return instance
