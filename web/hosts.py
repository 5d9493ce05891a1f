"""Refuses requests for a host that is no name, or not one of the site's own, before Flask builds a URL from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Response

from web.headers import HEADERS

PROBES = ("/livez", "/health", "/metrics")  # a platform asks them by an address of its own
LAST_PORT = 65_535
_HOST = re.compile(
    r"(?P<name>[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\.?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)


class HostCheck:
    """A WSGI middleware that answers 400 to a `Host` header that cannot be meant; without names, every name is."""

    def __init__(self, app: WSGIApplication, trusted: tuple[str, ...]) -> None:
        self._app, self._trusted = app, trusted

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if self._is_allowed(host, environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        text = "The Host header names no host that this site has. Its operator lists the names in TRUSTED_HOSTS.\n"
        return Response(text, 400, HEADERS, content_type="text/plain; charset=utf-8")(environ, start_response)

    def _is_allowed(self, host: str, path: str) -> bool:
        match = _HOST.fullmatch(host.lower())
        if host and (match is None or int(match["port"] or 0) > LAST_PORT):
            return False
        name = match["name"].rstrip(".") if match else ""  # HTTP/1.0 may leave it out
        return not self._trusted or path in PROBES or any(_names(trusted, name) for trusted in self._trusted)


def _names(trusted: str, name: str) -> bool:
    return name == trusted.lstrip(".") or (trusted.startswith(".") and name.endswith(trusted))
