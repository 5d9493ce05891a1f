"""The session cookie: signed and small, with a random number for a browser that has saved something."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Flask, Response, has_request_context, request, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer

LIFETIME = timedelta(days=365)  # since the browser's last visit
MOST_BYTES = 1_024  # of the cookie: it travels with every request
LONGEST_VALUE = 64  # characters: a token, a language; never a query or a text


class SessionUnfit(RuntimeError):
    """A session over MOST_BYTES, or holding more than numbers and short strings."""


class Signer(TimestampSigner):
    """Accepts a signature from the future: the clock was set back, or another host's is ahead."""

    def unsign(self, signed_value: Any, max_age: int | None = None, return_timestamp: Any = False) -> Any:
        try:
            return super().unsign(signed_value, max_age, return_timestamp)
        except SignatureExpired as expired:
            now = self.timestamp_to_datetime(self.get_timestamp())
            if expired.date_signed is None or expired.date_signed <= now:
                raise
            return super().unsign(signed_value, None, return_timestamp)


class Cookie(SecureCookieSessionInterface):
    """Flask's own cookie; if it was set over HTTPS, the browser returns it over HTTPS only."""

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        serializer = super().get_signing_serializer(app)
        if serializer:
            serializer.signer = Signer
        return serializer

    def get_cookie_secure(self, app: Flask) -> bool:
        return super().get_cookie_secure(app) or (has_request_context() and request.is_secure)


def browser() -> int:
    """Return the number of the browser; 0 if it has saved nothing."""
    number = session.get("browser", 0)
    return number if isinstance(number, int) else 0


def browser_or_new() -> int:
    """Return the browser's number, after giving it one if needed."""
    if not browser():
        session["browser"] = secrets.randbits(53) or 1
        session.permanent = True
    return browser()


def faults(values: Mapping[str, object], size: int) -> list[str]:
    """Return what a session must not hold, and its cookie's size if too large."""
    unfit = [
        f"{name} is {type(value).__name__}"
        for name, value in values.items()
        if not (isinstance(value, int | float) or (isinstance(value, str) and len(value) <= LONGEST_VALUE))
    ]
    return [*unfit, f"{size} bytes"] if size > MOST_BYTES else unfit


def check_sessions(app: Flask) -> None:
    """Raise SessionUnfit after a request whose session is not small and plain: for tests and development."""

    @app.after_request
    def check(response: Response) -> Response:
        serializer = SecureCookieSessionInterface().get_signing_serializer(app)
        written = str(serializer.dumps(dict(session))) if serializer and session else ""
        if unfit := faults(session, len(written)):
            raise SessionUnfit(f"the session must hold ids, numbers and short strings only: {'; '.join(unfit)}")
        return response
