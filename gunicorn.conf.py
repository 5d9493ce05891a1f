"""One small process by default: a worker of four threads behind a master that only watches it."""

import os
from pathlib import Path


def workers_wanted() -> int:
    """Return GUNICORN_WORKERS, else WEB_CONCURRENCY, else 1.

    Heroku sets WEB_CONCURRENCY by itself, to 2 on 512 MB: that would be two models in memory, and is passed over.
    """
    fallback = "1" if "DYNO" in os.environ else os.environ.get("WEB_CONCURRENCY", "1")
    return int(os.environ.get("GUNICORN_WORKERS", fallback))


def host() -> str:
    """Return the address to listen on: the world where a platform runs the app, else this machine alone."""
    platform = any(name in os.environ for name in ("DYNO", "RENDER", "RAILWAY_ENVIRONMENT"))
    return os.environ.get("HOST", "0.0.0.0" if platform else "127.0.0.1")  # noqa: S104


bind = f"{host()}:{os.environ.get('PORT', '5000')}"
workers = workers_wanted()
worker_class = "gthread"
threads = int(os.environ.get("GUNICORN_THREADS", "4"))
# A single worker shares little with a master that loaded the code: by its reference counts it soon copies every page
# (measured under load: 229 MB with, 190 without). Several workers do share what they do not touch.
preload_app = workers > 1
timeout = 60
graceful_timeout = 25
keepalive = 5
# A heartbeat file on a slow disk blocks the worker, and the master then kills it.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True


def when_ready(server) -> None:  # type: ignore[no-untyped-def]
    shown = "localhost" if host() == "127.0.0.1" else host()
    server.log.info("Matmon is at http://%s:%s", shown, os.environ.get("PORT", "5000"))


def post_fork(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """Give the worker a pool of its own: a connection made before the fork belongs to the master."""
    from app import app
    from models import db

    with app.app_context():
        db.engine.dispose(close=False)


def post_worker_init(_worker) -> None:  # type: ignore[no-untyped-def]
    """With MODEL_LOADING=warm, begin to load the model now; the site answers meanwhile."""
    from app import app

    if app.extensions["matmon.settings"].model_loading == "warm":
        app.extensions["matmon.semantic"].ready(0)
