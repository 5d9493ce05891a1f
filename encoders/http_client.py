"""An HTTP client for JSON requests to another host, bounded in time, size and retries."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError
from urllib3.util import Timeout

from encoders.queue import EncoderUnavailable

AGAIN = (429, 500, 502, 503, 504)
FIRST_PAUSE_S = 0.2
CHUNK_BYTES = 2**16
# Status codes for a path that the server does not have.
NOT_THERE = (400, 404, 405, 410, 501)
REFUSED_TEXTS = (400, 413, 422)


class EndpointFailed(EncoderUnavailable):
    """The endpoint did not answer with embeddings; the message says what it did and which setting to check."""


class TextsRefused(EndpointFailed):
    """The endpoint works but rejects these texts."""


@dataclass(frozen=True, slots=True)
class RequestTimeouts:
    """Time limits for one attempt and for all together, in seconds, and the number of retries.

    Tried again are 429, 5xx and lost connections; a server that asks for a longer pause is believed, and left alone.
    """

    timeout_s: float
    whole_s: float
    retries: int
    longest_pause_s: float


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The status and content of a response, and its Retry-After in seconds."""

    status: int
    content: bytes
    pause_s: float | None


class HttpClient:
    """Sends requests to one host over connections that are kept open."""

    def __init__(self, api_key: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        # Two connections are kept: one for searches, one for embedding.
        self._pool = urllib3.PoolManager(maxsize=2, headers=headers)
        self._sleep = sleep

    def answer(self, url: str, body: object, timeouts: RequestTimeouts, most_bytes: int) -> HttpAnswer:
        """Return the response to a POST of `body`, or to a GET if it is None, after retries; raises EndpointFailed."""
        until = time.monotonic() + timeouts.whole_s
        for retry in range(timeouts.retries + 1):
            last = retry == timeouts.retries
            pause_s = FIRST_PAUSE_S * 2**retry
            try:
                response = self._once(url, body, timeouts.timeout_s, until, most_bytes)
            except HTTPError as error:
                if last or time.monotonic() + pause_s >= until:
                    raise EndpointFailed(f"{url} does not answer: {cause(error)}; look at EMBEDDINGS_URL") from error
            else:
                pause_s = pause_s if response.pause_s is None else response.pause_s
                out_of_time = pause_s > timeouts.longest_pause_s or time.monotonic() + pause_s >= until
                if last or response.status not in AGAIN or out_of_time:
                    return response
            self._sleep(min(pause_s, timeouts.longest_pause_s))
        raise AssertionError("the last attempt returns or raises")

    def _once(self, url: str, payload: object, timeout_s: float, until: float, most_bytes: int) -> HttpAnswer:
        left_s = max(min(timeout_s, until - time.monotonic()), 0.05)
        # Not ASCII-escaped: Hebrew takes two bytes a letter instead of six; lone surrogates become question marks.
        body = None if payload is None else json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
        response = self._pool.request(
            "GET" if body is None else "POST", url, body=body, timeout=Timeout(total=left_s), retries=False,
            preload_content=False,
        )  # fmt: skip
        try:
            content = _content(response, url, until, most_bytes)
        except BaseException:
            response.close()  # unread data is left, so the connection cannot be reused
            raise
        response.release_conn()
        return HttpAnswer(response.status, content, seconds(response.headers))


def _content(answer: urllib3.BaseHTTPResponse, url: str, until: float, most_bytes: int) -> bytes:
    content = bytearray()
    while chunk := answer.read1(CHUNK_BYTES):
        content += chunk
        if len(content) > most_bytes:
            raise EndpointFailed(f"{url} answers with more than {most_bytes} bytes; look at EMBEDDINGS_URL")
        if time.monotonic() > until:
            raise ReadTimeoutError(None, url, "the answer took too long")  # type: ignore[arg-type]
    return bytes(content)


def seconds(headers: Mapping[str, str]) -> float | None:
    """Return the whole seconds of Retry-After; None if absent or a date."""
    given = headers.get("Retry-After", "").strip()
    return float(given) if given.isascii() and given.isdigit() and len(given) < 7 else None


def parsed_json(answer: HttpAnswer, url: str) -> Any:
    """Return the JSON of a successful response; raises EndpointFailed that explains any other."""
    if answer.status in (401, 403):
        raise EndpointFailed(f"{url} refuses the key ({answer.status}); look at EMBEDDINGS_API_KEY")
    if answer.status != 200:
        content = printable(answer.content, 200)
        kind = TextsRefused if answer.status in REFUSED_TEXTS else EndpointFailed
        raise kind(f"{url} answers {answer.status} ({content}); look at EMBEDDINGS_URL and EMBEDDINGS_MODEL")
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        raise EndpointFailed(
            f"{url} answers no JSON but {printable(answer.content, 60)!r}; look at EMBEDDINGS_URL"
        ) from None


def printable(content: bytes, most: int) -> str:
    """Return the beginning of a response on one line, for a message."""
    return " ".join(content[: 4 * most].decode(errors="replace").split())[:most] or "nothing"


def cause(error: Exception) -> str:
    """Return the cause of a connection error in a few words."""
    if isinstance(error, NameResolutionError):
        return "no such host"
    if isinstance(error, NewConnectionError):
        return "no connection"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return "it takes too long"
    return f"{type(error).__name__}, {error}"[:200]
