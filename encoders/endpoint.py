"""Embeddings over HTTP, from OpenAI's /v1/embeddings or text-embeddings-inference's /embed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError
from urllib3.util import Timeout

from encoders.queue import EncoderQueue, EncoderUnavailable
from utils.circuit_breaker import CircuitBreaker

AGAIN = (429, 500, 502, 503, 504)
FIRST_PAUSE_S = 0.2
CHUNK_BYTES = 2**16
# Status codes for a path that the server does not have.
NOT_THERE = (400, 404, 405, 410, 501)
REFUSED_TEXTS = (400, 413, 422)
# At most two of four threads wait for the other host. It answers in about 20 ms, so a place is soon free.
MOST_ASKING, PLACE_S = 2, 0.25
# 4,096 values of 25 characters are 102 KB.
BYTES_A_TEXT, BYTES_OF_MODELS = 2**17, 2**22


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


# A query has someone waiting, in one of four threads; passages have nobody.
QUICK = RequestTimeouts(timeout_s=3.0, whole_s=3.0, retries=1, longest_pause_s=1.0)
PATIENT = RequestTimeouts(timeout_s=30.0, whole_s=240.0, retries=5, longest_pause_s=60.0)
# The other host may have to load its model first; a page falls back to keywords meanwhile.
OPENING = RequestTimeouts(timeout_s=10.0, whole_s=15.0, retries=1, longest_pause_s=3.0)


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


class Endpoint:
    """One URL and model name; texts are sent `batch_size` at a time, through a circuit breaker.

    `checksum` is that of the required model, if its host tells; another model is refused.
    """

    def __init__(
        self,
        url: str,
        model: str = "",
        api_key: str = "",
        batch_size: int = 32,
        breaker: CircuitBreaker | None = None,
        client: HttpClient | None = None,
    ) -> None:
        self.url, self.model, self.checksum = embeddings_url(url), model, ""
        self._batch_size, self._breaker = batch_size, breaker or CircuitBreaker()
        self._client = client or HttpClient(api_key)
        self._queue = EncoderQueue(deadline_s=PLACE_S, places=MOST_ASKING)
        self._failed = ""

    def embed(self, texts: Sequence[str], dim: int | None, timeouts: RequestTimeouts) -> np.ndarray:
        """Return float32 of shape (len(texts), dim), each row of length 1.

        With dim=None the first response sets the dimension. Raises EndpointFailed, and EncoderBusy for a query
        that finds no place.
        """
        parts = []
        for start in range(0, len(texts), self._batch_size):
            part = self._embedded(list(texts[start : start + self._batch_size]), dim, timeouts)
            dim = part.shape[1]
            parts.append(part)
        return np.concatenate(parts) if parts else np.empty((0, dim or 0), np.float32)

    def models(self) -> Any:
        """Return the server's list of models; None if it has none. Raises EndpointFailed."""
        answer = self._client.answer(models_url(self.url), None, OPENING, BYTES_OF_MODELS)
        if answer.status in NOT_THERE:
            return None
        try:
            return parsed_json(answer, models_url(self.url))
        except EndpointFailed:
            if answer.status == 200:  # an HTML page, not a failed host
                return None
            raise

    def _embedded(self, texts: list[str], dim: int | None, timeouts: RequestTimeouts) -> np.ndarray:
        with self._queue.slot() if timeouts is QUICK else nullcontext():
            if not self._breaker.allows():
                rest = f"it is left alone for {self._breaker.rest_s:.0f} s"
                raise EndpointFailed(f"{self._failed or f'{self.url} failed several times'}; {rest}")
            try:
                with self._breaker.watch(harmless=TextsRefused):
                    return self._checked(self._rows(texts, timeouts), len(texts), dim)
            except EndpointFailed as failed:
                self._failed = str(failed)
                raise

    def _rows(self, texts: list[str], timeouts: RequestTimeouts) -> Any:
        most_bytes = BYTES_A_TEXT * (len(texts) + 1)
        if self._is_native:
            payload: dict[str, Any] = {"inputs": texts, "normalize": True, "truncate": True}
            return parsed_json(self._client.answer(self.url, payload, timeouts, most_bytes), self.url)
        payload = {"input": texts, "encoding_format": "float"} | ({"model": self.model} if self.model else {})
        answer = parsed_json(self._client.answer(self.url, payload, timeouts, most_bytes), self.url)
        if self.checksum and isinstance(answer, dict) and answer.get("checksum", self.checksum) != self.checksum:
            raise EndpointFailed(
                f"{self.url} serves another model by now; restart this site, and then: flask --app app embed"
            )
        return in_order(answer)

    @property
    def _is_native(self) -> bool:
        return urlsplit(self.url).path.endswith("/embed")

    def _checked(self, rows: Any, count: int, dim: int | None) -> np.ndarray:
        try:
            array = np.array(rows, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            array = np.empty(0)
        if array.ndim != 2 or len(array) != count or not array.shape[1]:
            raise EndpointFailed(f"{self.url} does not answer with one embedding a text; look at EMBEDDINGS_URL")
        if dim is not None and array.shape[1] != dim:
            raise EndpointFailed(
                f"{self.url} gives embeddings {array.shape[1]} wide, and those stored are {dim} wide; look at"
                " EMBEDDINGS_MODEL"
            )
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(array, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EndpointFailed(f"{self.url} gives embeddings that are no numbers; look at its log")
        unit: np.ndarray = (array / lengths).astype(np.float32)
        return unit


def in_order(answer: Any) -> list[Any]:
    """Return OpenAI's embeddings in the order of the texts; an empty list if the response has another shape."""
    try:
        by_index = {row["index"]: row["embedding"] for row in answer["data"]}
        return [by_index[place] for place in range(len(answer["data"]))]
    except (TypeError, KeyError):
        return []


def embeddings_url(given: str) -> str:
    """Return the URL to call: a bare host or one ending in /v1 gets OpenAI's path."""
    parts = urlsplit(given)
    path = parts.path.rstrip("/")
    path = {"": "/v1/embeddings", "/v1": "/v1/embeddings"}.get(path, path)
    return urlunsplit(parts._replace(path=path, fragment=""))


def models_url(url: str) -> str:
    """Return the URL of the model list, given the URL of the embeddings."""
    parts = urlsplit(url)
    beside, _, last = parts.path.rpartition("/")
    return urlunsplit(parts._replace(path=f"{beside}/v1/models" if last == "embed" else f"{beside}/models"))
