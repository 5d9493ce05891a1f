"""The admin token: as a bearer token, and for an hour in a browser's session."""

from __future__ import annotations

import hmac
import time

from flask import request, session

from web.current import settings

ADMIN_S = 3_600


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
    return hmac.compare_digest(token.encode(), settings().admin_token.encode())


def is_bearer() -> bool:
    """Whether the request carries the admin token as a bearer token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and is_token(token.strip())
