"""An address that turns texts into embeddings: OpenAI's /v1/embeddings, or text-embeddings-inference's /embed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import urllib3
from urllib3.util import Retry, Timeout

from encoders.breaker import Breaker
from encoders.turns import EncoderAway

AGAIN = (429, 500, 502, 503, 504)
MOST_ANSWER_BYTES = 64 * 2**20


class EndpointFailed(EncoderAway):
    """The endpoint did not answer, or not with embeddings; the message says what it did and what to look at."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer may take, in seconds, and how often it is tried again after 429, 5xx or a lost connection."""

    timeout_s: float
    retries: int
    longest_pause_s: int

    def retry(self) -> Retry:
        return Retry(
            total=self.retries,
            status_forcelist=AGAIN,
            allowed_methods=None,
            backoff_factor=0.2,
            backoff_max=self.longest_pause_s,
            retry_after_max=self.longest_pause_s,
            redirect=0,
            raise_on_status=False,
        )


# Someone waits for a query, in one of four threads; nobody waits for passages.
QUICK = Patience(timeout_s=3.0, retries=1, longest_pause_s=1)
PATIENT = Patience(timeout_s=30.0, retries=5, longest_pause_s=20)


class Endpoint:
    """One address and model name. Texts go `batch_size` at a time; after failures in a row it is left alone a while."""

    def __init__(
        self, url: str, model: str = "", api_key: str = "", batch_size: int = 32, breaker: Breaker | None = None
    ) -> None:
        self.url, self.model = embeddings_url(url), model
        self._batch_size, self._breaker = batch_size, breaker or Breaker()
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        # Two connections: one for who searches, one for who embeds.
        self._pool = urllib3.PoolManager(maxsize=2, block=False, headers=self._headers)

    def embed(self, texts: Sequence[str], dim: int | None, patience: Patience) -> np.ndarray:
        """Return float32 of shape (len(texts), dim), each row of length 1; raises EndpointFailed.

        With dim=None the first answer says how wide they are.
        """
        parts = []
        for start in range(0, len(texts), self._batch_size):
            part = self._embedded(list(texts[start : start + self._batch_size]), dim, patience)
            dim = part.shape[1]
            parts.append(part)
        return np.concatenate(parts) if parts else np.empty((0, dim or 0), np.float32)

    def described(self, path: str) -> Any:
        """Return what the server says of itself at a path beside its own; None where it says nothing of the kind."""
        try:
            return self._answer("GET", f"{self.url.rsplit('/', 1)[0]}/{path}", None, QUICK)
        except EndpointFailed:
            return None

    def _embedded(self, texts: list[str], dim: int | None, patience: Patience) -> np.ndarray:
        if left := self._breaker.left_s():
            raise EndpointFailed(f"{self.url} failed several times; it is tried again in {left:.0f} s")
        with self._breaker.watched():
            if self.url.endswith("/embed"):
                rows = self._answer("POST", self.url, {"inputs": texts, "normalize": True, "truncate": True}, patience)
            else:
                asked = {"input": texts, "model": self.model, "encoding_format": "float"}
                rows = in_order(self._answer("POST", self.url, asked, patience))
            return self._checked(rows, len(texts), dim)

    def _answer(self, method: str, url: str, body: object, patience: Patience) -> Any:
        try:
            answer = self._pool.request(
                method, url, body=None if body is None else json.dumps(body).encode(),
                timeout=Timeout(total=patience.timeout_s), retries=patience.retry(), preload_content=False,
            )  # fmt: skip
            content = answer.read(MOST_ANSWER_BYTES)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise EndpointFailed(f"{url} does not answer ({reason(error)}); look at EMBEDDINGS_URL") from error
        if answer.status in (401, 403):
            raise EndpointFailed(f"{url} refuses the key ({answer.status}); look at EMBEDDINGS_API_KEY")
        if answer.status != 200:
            raise EndpointFailed(f"{url} answers {answer.status}: {content[:200].decode(errors='replace')!r}")
        try:
            return json.loads(content)
        except ValueError:
            shown = content[:60].decode(errors="replace")
            raise EndpointFailed(f"{url} answers no JSON but {shown!r}; look at EMBEDDINGS_URL") from None

    def _checked(self, rows: Any, count: int, dim: int | None) -> np.ndarray:
        try:
            found = np.array(rows, dtype=np.float32)
        except (TypeError, ValueError):
            found = np.empty(0, np.float32)
        if found.ndim != 2 or len(found) != count or not found.shape[1]:
            raise EndpointFailed(f"{self.url} does not answer with one embedding a text; look at EMBEDDINGS_URL")
        if dim is not None and found.shape[1] != dim:
            raise EndpointFailed(
                f"{self.url} gives embeddings {found.shape[1]} wide, and those stored are {dim} wide; look at"
                " EMBEDDINGS_MODEL"
            )
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EndpointFailed(f"{self.url} gives embeddings that are no numbers")
        unit: np.ndarray = found / lengths
        return unit


def in_order(answer: Any) -> list[Any]:
    """Return OpenAI's embeddings in the order of the texts; an empty list where the answer is of another shape."""
    try:
        return [one["embedding"] for one in sorted(answer["data"], key=lambda one: one["index"])]
    except (TypeError, KeyError):
        return []


def embeddings_url(given: str) -> str:
    """Return the address to ask: a bare server's, or one ending in /v1, gets the path that OpenAI gave it."""
    path = urlsplit(given).path.rstrip("/")
    if path in ("", "/v1"):
        return given.rstrip("/") + ("/embeddings" if path else "/v1/embeddings")
    return given.rstrip("/")


def reason(error: Exception) -> str:
    """Return the innermost cause: urllib3 wraps it in the story of its tries."""
    inner = getattr(error, "reason", None)
    return reason(inner) if isinstance(inner, Exception) else f"{type(inner or error).__name__}: {error}"[:200]
