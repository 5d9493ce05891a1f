"""The admin token: as a bearer token, and for an hour in a browser's session."""

from __future__ import annotations

import hmac
import logging
import time

from flask import g, request, session
from limits import RateLimitItemPerMinute

from web.clients import client
from web.current import settings
from web.rate_limits import rates, refuse_over

ADMIN_S = 3_600
WRONG_TOKENS = RateLimitItemPerMinute(10)  # of one client; beyond it not even the right one is accepted
SCOPE = "wrong-tokens"
log = logging.getLogger("matmon.access")


def is_admin() -> bool:
    """Whether this browser gave the admin token within the last hour."""
    until = session.get("admin_until", 0)
    return isinstance(until, int) and until > time.time()


def sign_in(token: str) -> bool:
    """Start the admin hour if the token is right; the session stores only when it ends."""
    if not is_token(token):
        return False
    session["admin_until"] = int(time.time()) + ADMIN_S
    return True


def is_token(token: str) -> bool:
    """Whether a token is right; wrong ones are counted and logged. Raises TooManyRequests after WRONG_TOKENS."""
    refuse_over(WRONG_TOKENS, SCOPE)
    if hmac.compare_digest(token.encode(), settings().admin_token.encode()):
        return True
    rates().hit(WRONG_TOKENS, SCOPE, client())
    log.warning("a wrong admin token from %s", client())
    return False


def is_bearer() -> bool:
    """Whether the request carries the admin token as a bearer token, which is checked once."""
    if "is_bearer" not in g:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        g.is_bearer = scheme.lower() == "bearer" and is_token(token.strip())
    return bool(g.is_bearer)
