"""Rate limits by client: counted in a bounded store of this process, and in Redis if there is one."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

from flask import request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits.storage import Storage

from runtime import MatmonApp

if TYPE_CHECKING:
    from utils.redis_cache import RedisCache

DEFAULT_FACTOR = 10  # a request that does not search counts a tenth
SIGN_IN_RATE = "10/minute"
MOST_CLIENTS = 10_000  # about 2 MB; beyond it the clients seen first are evicted

View = TypeVar("View", bound=Callable[..., Any])


class BoundedStorage(Storage):
    """Fixed-window counts by client, as a Flask-Limiter storage at `bounded://`.

    With Redis, its counts are shared by all processes and copied here: if it goes away, each process continues from the
    last count it received. Windows end by the monotonic clock: with the time of day, setting it back would extend them.
    """

    STORAGE_SCHEME = ["bounded"]  # noqa: RUF012 - the base class has it so

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._cache: RedisCache | None = options.get("cache")
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def __len__(self) -> int:
        return len(self._counts)

    def __bool__(self) -> bool:
        """True even if empty: the limiter asserts that it has a storage."""
        return True

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        shared = self._cache.increment(client_hash(key), amount, int(expiry)) if self._cache else None
        with self._lock:
            count, ends = self._current(key)
            if not count:
                ends = time.monotonic() + expiry
            count += amount
            if shared is not None:
                count, ends = shared[0], time.monotonic() + shared[1]
            self._counts[key] = count, ends
            while len(self._counts) > MOST_CLIENTS:
                self._counts.popitem(last=False)
            return count

    def _current(self, key: str) -> tuple[int, float]:
        count, ends = self._counts.get(key, (0, 0.0))
        if ends <= time.monotonic():
            self._counts.pop(key, None)
            return 0, 0.0
        return count, ends

    def get(self, key: str) -> int:
        with self._lock:
            return self._current(key)[0]

    def get_expiry(self, key: str) -> float:
        """Return when a window ends, in seconds since 1970."""
        now = time.monotonic()
        with self._lock:
            return time.time() + max(self._counts.get(key, (0, now))[1] - now, 0.0)

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        with self._lock:
            count = len(self._counts)
            self._counts.clear()
            return count

    def clear(self, key: str) -> None:
        with self._lock:
            self._counts.pop(key, None)


def client_hash(key: str) -> str:
    """Return a client's key in Redis, which is short and does not contain its address."""
    return blake2b(key.encode(), digest_size=16).hexdigest()


def rate_limit(scope: str) -> Callable[[View], View]:
    """Count a view's requests in a scope: "search" (RATE_LIMIT), "sign_in" (10 POSTs a minute) or "none"."""

    def mark(view: View) -> View:
        view.rate_limit = scope  # type: ignore[attr-defined]
        return view

    return mark


def register(app: MatmonApp) -> None:
    """Limit every route: by the scope declared next to its view, else together at DEFAULT_FACTOR times RATE_LIMIT."""
    cache = app.runtime.shared_cache
    if cache:
        app.before_request(cache.start_request)
    options: Any = {"cache": cache}
    limiter = Limiter(get_remote_address, app=app, strategy="fixed-window", storage_options=options)
    rate = app.runtime.settings.rate_limit
    count, _, unit = rate.partition("/")
    limits = {
        "search": limiter.shared_limit(rate, scope="searches", exempt_when=is_cheap),
        "sign_in": limiter.limit(SIGN_IN_RATE, methods=["POST"]),
        "default": limiter.shared_limit(f"{int(count) * DEFAULT_FACTOR}/{unit}", scope="others"),
    }
    for endpoint, view in app.view_functions.items():
        scope = "none" if endpoint == "static" else getattr(view, "rate_limit", "default")
        if scope != "none":
            app.view_functions[endpoint] = limits[scope](view)  # type: ignore[assignment]
    app.runtime.watch.own_caches = lambda: {"rate_limit_clients": len(limiter.storage)}  # type: ignore[arg-type]


def is_cheap() -> bool:
    """Whether a page searches nothing: the home page, the list of tags, the empty matching form."""
    endpoints = ("search.everything", "search.tags", "matching.match")
    return request.endpoint in endpoints and not set(request.args) - {"lang"}
