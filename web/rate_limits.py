"""Rate limits by client: counted in a bounded store of this process, and in Redis if there is one."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from flask import current_app, request
from flask_limiter import Limiter
from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import RateLimiter
from werkzeug.exceptions import TooManyRequests

from runtime import MatmonApp
from web.clients import client

if TYPE_CHECKING:
    from utils.redis_cache import RedisCache

DEFAULT_FACTOR = 10  # a request that does not search counts a tenth
MOST_CLIENTS = 10_000  # about 2 MB
EVICTED_AT_ONCE = MOST_CLIENTS // 10

View = TypeVar("View", bound=Callable[..., Any])


class Window(NamedTuple):
    """What a client has used of a limit, and when that is forgotten, by the monotonic clock."""

    used: int = 0
    ends: float = 0.0


class BoundedStorage(Storage):
    """Fixed-window counts by client, as a Flask-Limiter storage at `bounded://`.

    Beyond MOST_CLIENTS, those furthest from their limit are evicted: others do not make it forget a limited client.

    With Redis, its counts are shared by all processes and copied here: if it goes away, each process continues from the
    last count it received. Windows end by the monotonic clock: with the time of day, setting it back would extend them.
    """

    STORAGE_SCHEME = ["bounded"]  # noqa: RUF012 - the base class has it so

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._cache: RedisCache | None = options.get("cache")
        self._windows: dict[str, Window] = {}
        self._lock = threading.Lock()

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def __len__(self) -> int:
        return len(self._windows)

    def __bool__(self) -> bool:
        """True even if empty: the limiter asserts that it has a storage."""
        return True

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        shared = self._cache.increment(client_hash(key), amount, int(expiry)) if self._cache else None
        with self._lock:
            window = self._current(key)
            if shared is not None:
                window = Window(shared[0], time.monotonic() + shared[1])
            else:
                window = Window(window.used + amount, window.ends or time.monotonic() + expiry)
            self._windows[key] = window
            if len(self._windows) > MOST_CLIENTS:
                self._evict()
            return window.used

    def _current(self, key: str) -> Window:
        window = self._windows.get(key, Window())
        if window.ends <= time.monotonic():
            self._windows.pop(key, None)
            return Window()
        return window

    def _evict(self) -> None:
        """Evict the windows that have ended; if there are too many others, those furthest from their limit."""
        now = time.monotonic()
        self._windows = {key: window for key, window in self._windows.items() if window.ends > now}
        if len(self._windows) > MOST_CLIENTS:
            by_share = sorted(self._windows, key=lambda key: self._windows[key].used / amount_of(key))
            for key in by_share[:EVICTED_AT_ONCE]:  # of equal ones the oldest
                del self._windows[key]

    def get(self, key: str) -> int:
        with self._lock:
            return self._current(key).used

    def get_expiry(self, key: str) -> float:
        """Return when a window ends, in seconds since 1970."""
        now = time.monotonic()
        with self._lock:
            return time.time() + max(self._windows.get(key, Window()).ends - now, 0.0)

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        with self._lock:
            count = len(self._windows)
            self._windows.clear()
            return count

    def clear(self, key: str) -> None:
        with self._lock:
            self._windows.pop(key, None)


def amount_of(key: str) -> int:
    """Return how much a limit allows, which stands in its key before the window's length."""
    parts = key.rsplit("/", 3)
    return int(parts[1]) if len(parts) == 4 and parts[1].isdigit() else 1


def client_hash(key: str) -> str:
    """Return a client's key in Redis, which is short and does not contain its address."""
    return blake2b(key.encode(), digest_size=16).hexdigest()


def rate_limit(scope: str) -> Callable[[View], View]:
    """Count a view's requests in a scope: "search" (RATE_LIMIT), or "none"."""

    def mark(view: View) -> View:
        view.rate_limit = scope  # type: ignore[attr-defined]
        return view

    return mark


def scope_of(endpoint: str | None) -> str:
    view = current_app.view_functions.get(endpoint or "")
    return "none" if endpoint == "static" else getattr(view, "rate_limit", "default")


def rates() -> RateLimiter:
    """Return what counts the current app's limits."""
    return cast("MatmonApp", current_app).rates


def refuse_over(limit: RateLimitItem, scope: str) -> None:
    """Raise TooManyRequests if the client has used up a limit."""
    if not rates().test(limit, scope, client()):
        ends = rates().get_window_stats(limit, scope, client()).reset_time
        raise TooManyRequests(retry_after=max(math.ceil(ends - time.time()), 1))


def register(app: MatmonApp) -> None:
    """Limit every route: by the scope declared next to its view, else together at DEFAULT_FACTOR times RATE_LIMIT."""
    cache = app.runtime.shared_cache
    if cache:
        app.before_request(cache.start_request)
    options: Any = {"cache": cache}
    limiter = Limiter(client, app=app, strategy="fixed-window", storage_options=options)
    rate = app.runtime.settings.rate_limit
    count, _, unit = rate.partition("/")
    limits = {
        "search": limiter.shared_limit(rate, scope="searches", exempt_when=is_cheap),
        "default": limiter.shared_limit(f"{int(count) * DEFAULT_FACTOR}/{unit}", scope="others"),
    }
    app.rates = limiter.limiter
    with app.app_context():
        for endpoint, view in app.view_functions.items():
            if (scope := scope_of(endpoint)) != "none":
                app.view_functions[endpoint] = limits[scope](view)  # type: ignore[assignment]
    app.runtime.watch.own_caches = lambda: {"rate_limit_clients": len(limiter.storage)}  # type: ignore[arg-type]


def is_cheap() -> bool:
    """Whether a page searches nothing: the home page, the list of tags, the empty matching form."""
    endpoints = ("search.everything", "search.tags", "matching.match")
    return request.endpoint in endpoints and not set(request.args) - {"lang"}
