"""Log format: one line per event, with the request it belongs to, as text or JSON."""

from __future__ import annotations

import json
import logging
import time
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
FORMATS = ("text", "json")
LINE = "%(levelname)s %(name)s %(message)s"
# Extra fields of a request's log line, for JSON.
MORE = ("method", "path", "status", "ms")


class OneLine(logging.Formatter):
    """Text: level, logger, message and request id; the lines of a traceback are joined by bars."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record)
        request = REQUEST_ID.get()
        return one_line(f"{message} id={request}" if request else message)


class JsonLine(logging.Formatter):
    """The same as a JSON object, for hosts that parse logs."""

    def format(self, record: logging.LogRecord) -> str:
        values = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := REQUEST_ID.get():
            values["request_id"] = request
        values |= {name: getattr(record, name) for name in MORE if hasattr(record, name)}
        if record.exc_info:
            values["error"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False, default=str)


class WithoutQueries(logging.Filter):
    """Cuts gunicorn's message about an invalid request: its URL may contain a search query."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message.startswith("Invalid request"):
            record.msg, record.args = message.split(":", 1)[0], ()
        return True


def one_line(message: str) -> str:
    return " | ".join(line.strip() for line in message.splitlines() if line.strip())


def configuration(form: str) -> dict[str, object]:
    """Return the configuration for `logging.config.dictConfig`: one handler for the app and gunicorn."""
    formatter = "operations.logs.JsonLine" if form == "json" else "operations.logs.OneLine"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "filters": {"private": {"()": "operations.logs.WithoutQueries"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["private"]}},
        "root": {"level": "INFO", "handlers": ["console"]},
        "loggers": {
            # gunicorn adds handlers to its loggers unless they are configured here.
            "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
            # The app logs each request itself; gunicorn's line would contain the query.
            "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
            "alembic.runtime.plugins": {"level": "WARNING"},
        },
    }
