"""create_app(): wires the parts, nothing else; `app` is for gunicorn and the flask command."""

from __future__ import annotations

import os

# Before numpy is imported: a second thread makes small products slower, and spins on the host's other processes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import logging
import sys
from http import HTTPStatus
from logging.config import dictConfig
from pathlib import Path
from typing import Any

from flask import Flask, Response, render_template, request
from flask_babel import Babel, get_locale
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix

import api
import comparing_pages  # noqa: F401
import import_pages  # noqa: F401 - its routes join the pages; so with those below
import kept_api  # noqa: F401
import kept_pages  # noqa: F401
import matching_api  # noqa: F401
import matching_pages  # noqa: F401
import operations.rates  # noqa: F401 - its storage is found by name
import request_log
import routes
import screening_api  # noqa: F401
import screening_pages  # noqa: F401
import writing_api  # noqa: F401
from config import Settings, read_settings, refusing
from database import end_sessions, engine_options, limit_waiting
from encoders.base import Encoder
from encoders.footprint import release_memory
from indexing.jobs import Running
from matching.aliases import aliases
from matching.screening_runs import Screener
from models import db
from operations.figures import Watch
from operations.logs import configuration
from search.query import Query
from semantics import encoder_for_import, memory_guard, semantic_side
from sessions import KEPT, Cookie, keep_small
from sharing import connect_redis
from utils.memory import keep_heap_small
from utils.sql import prepare_sqlite

STATIC_AGE_S = 31_536_000
# Everything comes from here: no script, style, font or picture from anywhere else, and none written into a page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
RETRY_S = 5
log = logging.getLogger("matmon")


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application; raises config.BadSetting where the environment cannot be used."""
    settings = settings or read_settings()
    keep_heap_small()
    write_logs(settings)
    app = Flask(__name__)
    app.session_interface = Cookie()
    app.config.update(flask_settings(settings))
    # Hebrew in answers is readable, and takes two bytes a letter in place of six.
    app.json.ensure_ascii = app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["matmon.settings"] = settings
    app.extensions["matmon.semantic"] = semantic_side(app, settings)
    app.extensions["matmon.guard"] = memory_guard(app, settings)
    connect_database(app, settings)
    connect_redis(app, settings)
    request_log.register(app)
    add_pages(app, settings)
    watch_memory(app, settings)
    add_errors(app)
    add_commands(app)
    return app


def write_logs(settings: Settings) -> None:
    """Write the log in the operator's form, unless whoever runs the app writes it in a way of their own already."""
    if not logging.getLogger().handlers:
        dictConfig(configuration(settings.log_format))


def flask_settings(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings),
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.secure_cookies,
        "PERMANENT_SESSION_LIFETIME": KEPT,
        # A form's token is good as long as its session: a page left open, or a clock set anew, is no forgery.
        "WTF_CSRF_TIME_LIMIT": None,
        "SEND_FILE_MAX_AGE_DEFAULT": STATIC_AGE_S,
        "BABEL_DEFAULT_LOCALE": settings.default_locale,
        "MAX_CONTENT_LENGTH": 256 * 1024 * 1024,
        "RATELIMIT_STORAGE_URI": "bounded://",
        "RATELIMIT_HEADERS_ENABLED": True,
    }


def connect_database(app: Flask, settings: Settings) -> None:
    settings.instance_dir.mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    end_sessions(app, db.session)
    with app.app_context():
        prepare_sqlite(db.engine)
        engine = db.engine
    limit_waiting(app, engine, settings)

    def close_idle_connections() -> None:
        engine.dispose()  # with SQLite 2 MB of pages each; those at work are closed when they come back
        release_memory()

    app.extensions["matmon.semantic"].after_idle = close_idle_connections

    def encoder() -> Encoder | None:
        with Session(engine) as session:
            return encoder_for_import(app, session)

    app.extensions["matmon.encoder"] = encoder
    of_import = encoder if settings.background == "web" else lambda: None  # the worker embeds what is imported
    app.extensions["matmon.screener"] = Screener(
        lambda: Session(engine),
        lambda: app.extensions["matmon.semantic"],
        lambda: aliases(settings.instance_dir / "skill-aliases.csv"),
        is_on=settings.background == "web",
    )
    app.extensions["matmon.start_job"] = lambda job, path: Running(
        lambda: Session(engine), job, path, of_import
    ).start()


def add_pages(app: Flask, settings: Settings) -> None:
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    Babel(app, locale_selector=routes.locale)
    csrf = CSRFProtect(app)
    csrf.exempt(api.api)  # its writes need a bearer token, which no other site's form can send
    app.register_blueprint(routes.pages)
    app.register_blueprint(api.api)
    if settings.check_sessions or app.debug:
        keep_small(app)
    app.after_request(with_headers)  # before the limiter's own, so that it is called after it
    limit_rates(app, settings)
    add_to_templates(app)


def limit_rates(app: Flask, settings: Settings) -> None:
    limiter = Limiter(get_remote_address, app=app, strategy="fixed-window")
    views: dict[str, Any] = app.view_functions
    searches = limiter.shared_limit(settings.rate_limit, scope="searches", exempt_when=is_cheap)
    for name in (
        "pages.everything", "pages.text", "pages.by_meaning", "pages.tags", "pages.document",
        "pages.match", "pages.match_asked", "pages.compare", "pages.screenings_begin", "pages.screening",
        "pages.screening_decide",
        "pages.screening_run", "pages.screening_export", "pages.searches", "pages.searches_keep", "pages.searches_run",
        "api.api_search", "api.api_similar", "api.api_suggest", "api.api_recommend", "api.api_skill_gap",
        "api.api_compare",
        "api.api_screening_begin", "api.api_screening", "api.api_screening_run", "api.api_screening_decide",
        "api.api_screening_export", "api.api_searches", "api.api_search_keep", "api.api_search_run",
    ):  # fmt: skip
        views[name] = searches(views[name])
    tries = limiter.limit("10/minute", methods=["POST"])
    views["pages.import_upload"] = tries(views["pages.import_upload"])


def watch_memory(app: Flask, settings: Settings) -> None:
    """Gather what an operator sees; gunicorn.conf.py begins the hour's history in each worker."""
    with app.app_context():
        engine = db.engine
    (limiter,) = app.extensions["limiter"]
    watch = app.extensions["matmon.watch"] = Watch(
        semantic=lambda: app.extensions["matmon.semantic"],
        guard=lambda: app.extensions.get("matmon.guard"),
        pool=lambda: engine.pool,
        most_connections=settings.db_pool_size + settings.db_max_overflow,
        limit_mb=settings.memory_limit_mb,
        idle_s=settings.model_idle_s,
        with_text=settings.log_queries,
        shared=lambda: app.extensions["matmon.shared"],
        own_caches=lambda: {"rate_limit_clients": len(limiter.storage)},
    )
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # `flask run` tells nobody when it begins to serve
        app.before_request(watch.history.start)
        app.before_request(app.extensions["matmon.guard"].start)


def is_cheap() -> bool:
    """True for a page that searches nothing: the first page and the index of tags."""
    return request.endpoint in ("pages.everything", "pages.tags", "pages.match") and not set(request.args) - {"lang"}


def add_to_templates(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        address=routes.address,
        address_in=routes.address_in,
        page_numbers=routes.page_numbers,
        safe_link=routes.safe_link,
        locale=lambda: str(get_locale()),
        static_version=static_version(Path(app.static_folder or "static")),
    )


def static_version(folder: Path) -> str:
    """Return what changes when a static file does: it goes into their addresses, so that they can be kept a year."""
    return format(max((int(path.stat().st_mtime) for path in folder.rglob("*") if path.is_file()), default=0), "x")


def with_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_S)
    elif response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        response.headers.pop("Retry-After", None)  # the limiter gives it to every answer
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def add_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | tuple[str, int, dict[str, str]]:
        if request.path.startswith("/api/") or request.path in ("/health", "/livez", "/metrics"):
            return api.http_error(error)
        kept = {name: value for name, value in error.get_headers() if name in ("Retry-After", "Allow", "Location")}
        return render_template("error.html", error=error, query=Query()), error.code or 500, kept

    @app.errorhandler(OperationalError)
    @app.errorhandler(InterfaceError)
    @app.errorhandler(NoConnectionFree)
    def database_gone(error: SQLAlchemyError) -> Response | tuple[str, int, dict[str, str]]:
        log.error("the database does not answer: %s", str(getattr(error, "orig", error))[:300])
        unavailable = ServiceUnavailable("The database does not answer; try again in a moment.", retry_after=RETRY_S)
        return http_error(unavailable)


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
    with refusing():
        globals()["app"] = made = create_app()
    return made
