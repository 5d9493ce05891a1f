"""Fetches a running site's own figures over HTTP, within a fixed time."""

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
    """No figures were received; the message says what was."""


def figures_at(base: str, wait_s: float = WAIT_S) -> dict[str, Any]:
    """Return the figures of the site at an address; raises NotAnswered after at most `wait_s` seconds.

    Runs in a thread, since a server that sends a byte now and then never triggers the socket's timeout.
    """
    results: list[dict[str, Any] | NotAnswered] = []
    try:
        address = figures_url(base)
    except ValueError as error:
        raise NotAnswered(f"{base} is not an address: {error}") from error
    request = threading.Thread(target=lambda: results.append(_fetch(address, wait_s)), daemon=True)
    request.start()
    request.join(wait_s)
    answer = results[0] if results else silent(address, wait_s)
    if isinstance(answer, NotAnswered):
        raise answer
    return answer


def silent(address: str, wait_s: float) -> NotAnswered:
    return NotAnswered(f"{address} did not answer within {wait_s:g} s")


def figures_url(base: str) -> str:
    """Return the URL of the figures for a site's address."""
    if "://" not in base:
        base = f"http{'' if urlsplit('//' + base).hostname in HERE else 's'}://{base}"
    return base if urlsplit(base).path.endswith(PATH) else base.rstrip("/") + PATH


def _fetch(address: str, wait_s: float) -> dict[str, Any] | NotAnswered:
    if urlsplit(address).scheme not in ("http", "https"):
        return NotAnswered(f"{address} is not an http or https address")
    # Local addresses bypass any proxy.
    proxies = [urllib.request.ProxyHandler({})] if urlsplit(address).hostname in HERE else []
    try:
        with urllib.request.build_opener(*proxies).open(address, timeout=wait_s) as response:
            kind, body = response.headers.get_content_type(), response.read(MOST_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return NotAnswered(f"{address} answered {error.code}")
    except (OSError, ValueError, HTTPException) as error:  # no such host, refused, invalid address, not HTTP
        reason = getattr(error, "reason", None) or error
        # The socket's timeout may come before the thread's.
        if isinstance(reason, TimeoutError):
            return silent(address, wait_s)
        return NotAnswered(f"{address} cannot be reached: {reason if reason is not error else repr(error)}")
    try:
        figures = json.loads(body)
    except (ValueError, RecursionError):
        return NotAnswered(f"{address} answered {kind}, not figures: is it this site?")
    return figures if isinstance(figures, dict) else NotAnswered(f"{address} answered JSON that is not this site's")
