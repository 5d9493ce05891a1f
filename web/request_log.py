"""One log line per request, with status and duration but never the query, and an id on all lines of a request."""

from __future__ import annotations

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from operations.logs import REQUEST_ID

GIVEN_ID = re.compile(r"[\w.:-]{8,100}", re.ASCII)
QUIET = ("/static/", "/livez")
log = logging.getLogger("matmon.request")


def register(app: Flask) -> None:
    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(forget)


def begin() -> None:
    """Take the id from the proxy, so that both logs can be compared, or make one."""
    request_id = request.headers.get("X-Request-ID", "")
    REQUEST_ID.set(request_id if GIVEN_ID.fullmatch(request_id) else secrets.token_hex(8))
    g.began = time.perf_counter()


def end(response: Response) -> Response:
    response.headers["X-Request-ID"] = REQUEST_ID.get()
    if not request.path.startswith(QUIET):
        ms = round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000)
        # The path without its query, which is private.
        path = request.path.encode("unicode_escape").decode()[:200]
        more = {"method": request.method, "path": path, "status": response.status_code, "ms": ms}
        log.info("%s %s %s %s ms", *more.values(), extra=more)
    return response


def forget(_error: BaseException | None) -> None:
    """Clear the id for this thread's later lines."""
    REQUEST_ID.set("")
