"""One question to another host over HTTP, and its answer as JSON: bounded in time, in size and in tries."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError
from urllib3.util import Timeout

from encoders.queue import EncoderAway

AGAIN = (429, 500, 502, 503, 504)
FIRST_PAUSE_S = 0.2
CHUNK_BYTES = 2**16
# What a server answers of a path that it does not have.
NOT_THERE = (400, 404, 405, 410, 501)
REFUSED_TEXTS = (400, 413, 422)


class EndpointFailed(EncoderAway):
    """The endpoint did not answer, or not with embeddings; the message says what it did and what to look at."""


class TextsRefused(EndpointFailed):
    """The endpoint is there and does not take these texts."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one try and all of them together may take, in seconds, and how often it is tried again.

    Tried again are 429, 5xx and lost connections; a server that asks for a longer pause is believed, and left alone.
    """

    timeout_s: float
    whole_s: float
    retries: int
    longest_pause_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of an answer, its content, and for how many seconds it asks to be left alone."""

    status: int
    content: bytes
    pause_s: float | None


class Asking:
    """Asks one host, over connections that are kept open."""

    def __init__(self, api_key: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        # Two connections are kept: one for who searches, one for who embeds.
        self._pool = urllib3.PoolManager(maxsize=2, headers=headers)
        self._sleep = sleep

    def answer(self, url: str, asked: object, patience: Patience, most_bytes: int) -> Answer:
        """Return the last answer to a POST of `asked`, or to a GET where it is None; raises EndpointFailed."""
        until = time.monotonic() + patience.whole_s
        for retry in range(patience.retries + 1):
            last = retry == patience.retries
            pause_s = FIRST_PAUSE_S * 2**retry
            try:
                found = self._once(url, asked, patience.timeout_s, until, most_bytes)
            except HTTPError as error:
                if last or time.monotonic() + pause_s >= until:
                    raise EndpointFailed(f"{url} does not answer: {cause(error)}; look at EMBEDDINGS_URL") from error
            else:
                pause_s = pause_s if found.pause_s is None else found.pause_s
                out_of_time = pause_s > patience.longest_pause_s or time.monotonic() + pause_s >= until
                if last or found.status not in AGAIN or out_of_time:
                    return found
            self._sleep(min(pause_s, patience.longest_pause_s))
        raise AssertionError("the last try returns or raises")

    def _once(self, url: str, asked: object, timeout_s: float, until: float, most_bytes: int) -> Answer:
        left_s = max(min(timeout_s, until - time.monotonic()), 0.05)
        # Hebrew takes two bytes a letter and not six; half of a surrogate pair becomes a question mark.
        body = None if asked is None else json.dumps(asked, ensure_ascii=False).encode("utf-8", "replace")
        answer = self._pool.request(
            "GET" if body is None else "POST", url, body=body, timeout=Timeout(total=left_s), retries=False,
            preload_content=False,
        )  # fmt: skip
        try:
            content = _content(answer, url, until, most_bytes)
        except BaseException:
            answer.close()  # the rest of the answer is still under way: this connection is of no use any more
            raise
        answer.release_conn()
        return Answer(answer.status, content, seconds(answer.headers))


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
    """Return the whole seconds of Retry-After; None where there is none, or a date."""
    given = headers.get("Retry-After", "").strip()
    return float(given) if given.isascii() and given.isdigit() and len(given) < 7 else None


def parsed(answer: Answer, url: str) -> Any:
    """Return the JSON of a good answer; raises EndpointFailed with what is amiss with any other."""
    if answer.status in (401, 403):
        raise EndpointFailed(f"{url} refuses the key ({answer.status}); look at EMBEDDINGS_API_KEY")
    if answer.status != 200:
        said = shown(answer.content, 200)
        kind = TextsRefused if answer.status in REFUSED_TEXTS else EndpointFailed
        raise kind(f"{url} answers {answer.status} ({said}); look at EMBEDDINGS_URL and EMBEDDINGS_MODEL")
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        raise EndpointFailed(
            f"{url} answers no JSON but {shown(answer.content, 60)!r}; look at EMBEDDINGS_URL"
        ) from None


def shown(content: bytes, most: int) -> str:
    """Return the beginning of an answer on one line, for a message."""
    return " ".join(content[: 4 * most].decode(errors="replace").split())[:most] or "nothing"


def cause(error: Exception) -> str:
    """Return what is the matter with a connection, in a few words."""
    if isinstance(error, NameResolutionError):
        return "no such host"
    if isinstance(error, NewConnectionError):
        return "no connection"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return "it takes too long"
    return f"{type(error).__name__}, {error}"[:200]
