"""A limit on the processor time that one client's requests take, whatever their number."""

from __future__ import annotations

import time

from flask import g, request
from limits import RateLimitItem, RateLimitItemPerMinute

from runtime import MatmonApp
from web.access import is_admin
from web.clients import client
from web.rate_limits import rates, refuse_over, scope_of

SCOPE = "cpu"


def register(app: MatmonApp) -> None:
    """Count the milliseconds of each request's thread, and refuse clients above RATE_LIMIT_CPU before they are read.

    Whoever has the admin token can start any amount of work anyway, and is not refused.
    """
    seconds = app.runtime.settings.rate_limit_cpu_s
    if not seconds:
        return
    limit: RateLimitItem = RateLimitItemPerMinute(seconds * 1_000)

    def begin() -> None:
        g.cpu_began = time.thread_time()
        is_over = scope_of(request.endpoint) != "none" and not rates().test(limit, SCOPE, client())
        if is_over and not is_admin():
            refuse_over(limit, SCOPE)

    def end(_error: BaseException | None) -> None:
        """Count the time: after a response that is written while it is read, too."""
        if "cpu_began" in g:
            ms = round((time.thread_time() - g.pop("cpu_began")) * 1_000)
            rates().hit(limit, SCOPE, client(), cost=max(ms, 1))

    app.before_request(begin)
    app.teardown_request(end)
