"""A running site's own figures, asked over HTTP: soon, or not at all."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

PATH = "/api/monitoring/memory"
WAIT_S = 10.0
MOST_BYTES = 1_048_576
HERE = ("127.0.0.1", "localhost", "::1")


class NotAnswered(Exception):
    """No figures came; the message says what came instead."""


def figures_at(base: str, wait_s: float = WAIT_S) -> dict[str, Any]:
    """Return the figures of the site at an address; raises NotAnswered after `wait_s` at the latest.

    A thread asks, since a server that sends a byte now and then never runs into the socket's own timeout.
    """
    found: list[dict[str, Any] | NotAnswered] = []
    try:
        address = whole(base)
    except ValueError as error:
        raise NotAnswered(f"{base} is not an address: {error}") from error
    asking = threading.Thread(target=lambda: found.append(_answer(address, wait_s)), daemon=True)
    asking.start()
    asking.join(wait_s)
    answer = found[0] if found else silent(address, wait_s)
    if isinstance(answer, NotAnswered):
        raise answer
    return answer


def silent(address: str, wait_s: float) -> NotAnswered:
    return NotAnswered(f"{address} did not answer within {wait_s:g} s")


def whole(base: str) -> str:
    """Return the address of the figures, given the site's."""
    if "://" not in base:
        base = f"http{'' if urlsplit('//' + base).hostname in HERE else 's'}://{base}"
    return base if urlsplit(base).path.endswith(PATH) else base.rstrip("/") + PATH


def _answer(address: str, wait_s: float) -> dict[str, Any] | NotAnswered:
    if urlsplit(address).scheme not in ("http", "https"):
        return NotAnswered(f"{address} is not an address of the web")
    # This machine is asked directly, whatever proxy leads to the others.
    proxies = [urllib.request.ProxyHandler({})] if urlsplit(address).hostname in HERE else []
    try:
        with urllib.request.build_opener(*proxies).open(address, timeout=wait_s) as answer:
            kind, body = answer.headers.get_content_type(), answer.read(MOST_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return NotAnswered(f"{address} answered {error.code}")
    except (OSError, ValueError, HTTPException) as error:  # no such host, refused, no address, no HTTP
        reason = getattr(error, "reason", None) or error
        # The socket's own time-out, where it came before that of the thread that waits.
        if isinstance(reason, TimeoutError):
            return silent(address, wait_s)
        return NotAnswered(f"{address} cannot be reached: {reason if reason is not error else repr(error)}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return NotAnswered(f"{address} answered {kind}, not figures: is it this site?")
    return found if isinstance(found, dict) else NotAnswered(f"{address} answered JSON that is not this site's")
