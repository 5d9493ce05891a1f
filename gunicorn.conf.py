"""One small process by default: a worker of four threads behind a master that only watches it."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from config import exit_on_bad_setting, read_settings, whole

MOST_WORKERS = 64
MOST_THREADS = 256

# Gunicorn's own `pidfile` would refuse a start whenever an old file's number belongs to any process by now, as it does
# in a container, where numbers are small and come again.
PID_FILE = Path(os.environ.get("INSTANCE_DIR") or Path(__file__).resolve().parent / "instance") / "gunicorn.pid"


def workers_wanted() -> int:
    """Return GUNICORN_WORKERS, else WEB_CONCURRENCY, else 1.

    Heroku sets WEB_CONCURRENCY by itself, to 2 on 512 MB: that would be two models in memory, and is passed over.
    """
    fallback = 1 if "DYNO" in os.environ else whole(os.environ, "WEB_CONCURRENCY", 1, 1, MOST_WORKERS)
    return whole(os.environ, "GUNICORN_WORKERS", fallback, 1, MOST_WORKERS)


def host() -> str:
    """Return the address to listen on: the world where a platform runs the app, else this machine alone."""
    platform = any(name in os.environ for name in ("DYNO", "RENDER", "RAILWAY_ENVIRONMENT"))
    return os.environ.get("HOST", "0.0.0.0" if platform else "127.0.0.1")  # noqa: S104


with exit_on_bad_setting():
    bind = f"{host()}:{whole(os.environ, 'PORT', 5000, 0, 65_535)}"
    workers = workers_wanted()
    threads = whole(os.environ, "GUNICORN_THREADS", 4, 1, MOST_THREADS)
worker_class = "gthread"
# A single worker shares little with a master that loaded the code: by its reference counts it soon copies every page
# (measured under load: 229 MB with, 190 without). Several workers do share what they do not touch.
preload_app = workers > 1
timeout = 60
graceful_timeout = 25
keepalive = 5
# A heartbeat file on a slow disk blocks the worker, and the master then kills it.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True


def log_format() -> dict[str, object]:
    """Return how gunicorn writes its lines: as the app does, one event a line."""
    from operations.logs import FORMATS, configuration

    given = os.environ.get("LOG_FORMAT", "text")
    return configuration(given if given in FORMATS else "text")  # the app refuses what is neither


logconfig_dict = log_format()


def on_starting(_server) -> None:  # type: ignore[no-untyped-def]
    """End before anything listens where a setting cannot be used; a server that preloads ended already."""
    with exit_on_bad_setting():
        read_settings()


def when_ready(server) -> None:  # type: ignore[no-untyped-def]
    shown = "localhost" if host() == "127.0.0.1" else host()
    address = f"http://{shown}:{os.environ.get('PORT', '5000')}"
    server.log.info("Matmon is at %s", address)
    try:
        PID_FILE.parent.mkdir(parents=True, exist_ok=True)
        PID_FILE.write_text(f"{server.pid}\n{address}\n", encoding="utf-8")
    except OSError as error:  # a read-only disk: scripts/check_memory.py then looks for the processes
        server.log.info("%s is not written: %s", PID_FILE, error)


def on_exit(server) -> None:  # type: ignore[no-untyped-def]
    """Take the pid file away, unless another server in the same folder has written its own."""
    with suppress(OSError):
        if PID_FILE.read_text(encoding="utf-8").split()[:1] == [str(server.pid)]:
            PID_FILE.unlink()


def post_fork(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """Give the worker a pool of its own: a connection made before the fork belongs to the master."""
    from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

    from models import db

    try:
        from app import app
    except SystemExit:  # what a setting names went after the start: the master ends, and does not try again and again
        sys.exit(Arbiter.WORKER_BOOT_ERROR)

    with app.app_context():
        db.engine.dispose(close=False)


def post_worker_init(_worker) -> None:  # type: ignore[no-untyped-def]
    """Start what runs beside the requests; with MODEL_LOADING=warm also load the model."""
    from gunicorn.workers import gthread  # type: ignore[import-untyped]

    from app import app
    from runtime import runtime_of

    # A connection that sends nothing holds a thread this long, then it waits aside. With gunicorn's own five seconds
    # four such connections are all four threads, and 500 stopped the site.
    gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.01
    runtime = runtime_of(app)
    runtime.start()
    runtime.recycling.is_on = True


def worker_exit(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """End background work before the interpreter does: a thread inside a library would abort the process."""
    app_module = sys.modules.get("app")
    if app_module is not None and "app" in vars(app_module):
        app_module.app.runtime.stop()
