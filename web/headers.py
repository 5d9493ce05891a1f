"""Response headers: content security policy, HTTPS, and what caches and search engines may keep."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, request

from web.access import NOBODY, is_private_site
from web.errors import RETRY_S

# No script, style, font or image from anywhere else, and none inline.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
CALLERS = ("matmon.caller", "matmon.bearer")
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Blueprints whose answers may tell something of a person: who applies, what somebody searches for, what was uploaded.
PRIVATE = frozenset(
    {"matching", "screenings", "saved_searches", "imports", "keys", "audit", "forgetting"}
    | {"api_matching", "api_screenings", "api_saved_searches", "api_imports", "api_mcp"}
)


def with_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_S)
    elif response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
        response.headers.pop("Retry-After", None)  # the limiter adds it to every response
    caching_headers(response)
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def is_for_somebody() -> bool:
    """Whether the answer may hold what only its caller may read."""
    return is_private_site() or any(request.environ.get(name, NOBODY) != NOBODY for name in CALLERS)


def caching_headers(response: Response) -> None:
    """Let nobody store private answers and errors, and only the visitor's browser the others, asking each time."""
    is_private = request.blueprint in PRIVATE or is_for_somebody()
    if is_private:
        response.headers["X-Robots-Tag"] = "noindex"
    if request.endpoint != "static":
        response.vary.update(("Cookie", "Authorization", "Accept-Language"))  # who asks decides what may be read
    may_not_store = is_private or response.status_code >= HTTPStatus.BAD_REQUEST
    response.headers.setdefault("Cache-Control", "private, no-store" if may_not_store else "private, no-cache")
