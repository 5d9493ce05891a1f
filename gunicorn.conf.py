"""One small process by default: a worker of four threads behind a master that only watches it."""

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from config import exit_on_bad_setting, read_settings
from operations.logs import configuration

# Gunicorn's own `pidfile` refuses to start if the number in an old file belongs to any process, as is likely in a
# container, where process numbers are small.
PID_FILE = Path(os.environ.get("INSTANCE_DIR") or Path(__file__).resolve().parent / "instance") / "gunicorn.pid"

# Before anything listens: a bad setting ends the server with one line.
with exit_on_bad_setting():
    settings = read_settings()
os.umask(int(settings.umask, 8))
bind = f"{settings.host}:{settings.port}"
workers = settings.gunicorn_workers
threads = settings.gunicorn_threads
worker_class = "web.buffered_worker.BufferedThreadWorker"  # slow clients hold no thread
# A single worker shares little with a master that loaded the code: by its reference counts it soon copies every page
# (measured under load: 229 MB with, 190 without). Several workers do share what they do not touch.
preload_app = workers > 1
timeout = 60
graceful_timeout = 25
keepalive = 5
# A heartbeat file on a slow disk blocks the worker, and the master then kills it.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True
logconfig_dict = configuration(settings.log_format)


def when_ready(server) -> None:  # type: ignore[no-untyped-def]
    host = "localhost" if settings.host == "127.0.0.1" else settings.host
    address = f"http://{host}:{settings.port}"
    server.log.info("Matmon is at %s", address)
    try:
        PID_FILE.parent.mkdir(parents=True, exist_ok=True)
        PID_FILE.write_text(f"{server.pid}\n{address}\n", encoding="utf-8")
    except OSError as error:  # a read-only disk: scripts/check_memory.py then looks for the processes
        server.log.info("%s is not written: %s", PID_FILE, error)


def on_exit(server) -> None:  # type: ignore[no-untyped-def]
    """Delete the pid file, unless another server in the same folder has written its own."""
    with suppress(OSError):
        if PID_FILE.read_text(encoding="utf-8").split()[:1] == [str(server.pid)]:
            PID_FILE.unlink()


def post_fork(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """Give the worker a pool of its own: a connection made before the fork belongs to the master."""
    from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

    from models import db

    try:
        from app import app
    except SystemExit:  # a file that a setting names is gone: the master ends instead of retrying forever
        sys.exit(Arbiter.WORKER_BOOT_ERROR)

    with app.app_context():
        db.engine.dispose(close=False)


def post_worker_init(worker) -> None:  # type: ignore[no-untyped-def]
    """Start what runs beside the requests; with MODEL_LOADING=warm also load the model."""
    from app import app
    from runtime import runtime_of

    runtime = runtime_of(app)
    worker.is_memory_low = lambda: runtime.guard.is_low
    runtime.start()
    runtime.recycling.is_on = True


def worker_exit(_server, _worker) -> None:  # type: ignore[no-untyped-def]
    """End background work, and then the process at once: at a usual exit, a thread inside a library would abort it."""
    app_module = sys.modules.get("app")
    if app_module is None or "app" not in vars(app_module):
        return
    app_module.app.runtime.stop()
    ending = sys.exc_info()[1]
    code = ending.code if isinstance(ending, SystemExit) else None
    logging.shutdown()
    os._exit(code if isinstance(code, int) and code >= 0 else 1)
