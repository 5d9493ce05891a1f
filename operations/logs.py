"""What a line of the log looks like: one event a line, with the request it belongs to; as text or as JSON."""

from __future__ import annotations

import json
import logging
import time
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
FORMATS = ("text", "json")
LINE = "%(levelname)s %(name)s %(message)s"
# What a line about a request says beside its words, for JSON.
MORE = ("method", "path", "status", "ms")


class OneLine(logging.Formatter):
    """Text: the level, who says it, what, and the request's id; a traceback is joined by bars."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def format(self, record: logging.LogRecord) -> str:
        said = super().format(record)
        request = REQUEST_ID.get()
        return joined(f"{said} id={request}" if request else said)


class JsonLine(logging.Formatter):
    """The same as a JSON object, for hosts that take logs apart."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := REQUEST_ID.get():
            said["request_id"] = request
        said |= {name: getattr(record, name) for name in MORE if hasattr(record, name)}
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


class WithoutQueries(logging.Filter):
    """Cuts gunicorn's line on a request that it could not read: the address in it may hold what was searched for."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if said.startswith("Invalid request"):
            record.msg, record.args = said.split(":", 1)[0], ()
        return True


def joined(said: str) -> str:
    return " | ".join(line.strip() for line in said.splitlines() if line.strip())


def configuration(form: str) -> dict[str, object]:
    """Return how Python logs, for `logging.config.dictConfig`: one handler, for the app and for gunicorn alike."""
    formatter = "operations.logs.JsonLine" if form == "json" else "operations.logs.OneLine"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "filters": {"private": {"()": "operations.logs.WithoutQueries"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["private"]}},
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {
            # gunicorn gives each of its loggers handlers of its own unless they are named here.
            "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
            # The app writes a line a request itself; gunicorn's would hold the query.
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
            "alembic.runtime.plugins": {"level": "WARNING"},
        },
    }
