"""What processes share in a Redis, within a budget of time: where it is slow, away or wrong, they go on without it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, LifoQueue
from typing import Any, Literal, Protocol

OP_S = 0.05  # one question with its answer; nearby it takes 0.2 ms
BUDGET_S = 0.08  # all questions of one request
RETRY_S = 2.0
CONNECTIONS = 2  # a question takes well under a millisecond: threads take turns
MOST_BYTES = 256 * 1024
State = Literal["connecting", "connected", "away"]
log = logging.getLogger("matmon.redis")


class LinkFault(Exception):
    """The connection is of no use any more. `fault`: unreachable, slow, password, tls, closed or garbage."""

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Refused(Exception):
    """The Redis understood and will not. `fault`: full, read_only, forbidden, or refused for all else."""

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Link(Protocol):
    """A connection, as utils.redis_link makes it."""

    def ask(self, commands: Sequence[tuple[Any, ...]], seconds: float, most_bytes: int) -> list[Any]:
        """Return the answer of each command; raises LinkFault, and Refused with the first that was refused."""

    def is_stale(self) -> bool: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SharedFigures:
    """How the Redis does. `fault` says what is wrong in a word, also of one that is connected and refuses something."""

    state: State
    fault: str
    for_s: float  # in this state
    counts: dict[str, int]


class Shared:
    """A Redis as a cache and a counter. Nothing here raises for what the Redis does, and each answer may be None.

    Connections are made by a thread of their own, never by a request: while there is none, asking costs nothing. What a
    request asks ends within BUDGET_S in all, from `begin` on.
    """

    def __init__(
        self,
        link: Callable[[], Link],
        prefix: str = "",
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link, self.prefix, self._retry_s, self._clock = link, prefix, retry_s, clock
        self._free: LifoQueue[Link] = LifoQueue(CONNECTIONS)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._state: State = "connecting"
        self._fault, self._since, self._is_told = "", clock(), False
        self._own = threading.local()
        self.counts: Counter[str] = Counter()

    @property
    def is_connected(self) -> bool:
        return self._state == "connected"

    def begin(self) -> None:
        """Begin the budget of a request, in its thread; a thread without one has OP_S for each question."""
        self._own.left_s = BUDGET_S

    def connect(self) -> None:
        """Begin the thread that connects, where there is no connection. Not at the start: a fork would lose it."""
        with self._lock:
            if self.is_connected or self._ended.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            thread = threading.Thread(target=self._connect, name="redis", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no room for a thread now: the next question begins it
                return
            self._thread = thread

    def recall(self, kind: str, key: str) -> bytes | None:
        """Return a kept value; one that is larger than MOST_BYTES is no value of ours."""
        found = self._ask([("GETRANGE", self._name(kind, key), 0, MOST_BYTES)])
        value = found[0] if found else None
        if isinstance(value, bytes) and len(value) > MOST_BYTES:
            self.wrong(kind)
            value = None
        if found is not None:
            self._note(f"{kind}_hits" if value else f"{kind}_misses")
        return value or None

    def keep(self, kind: str, key: str, value: bytes, ttl_s: int) -> None:
        if len(value) > MOST_BYTES:
            self._note("too_large")
            return
        self._ask([("SET", self._name(kind, key), value, "EX", ttl_s)])

    def count(self, key: str, amount: int, window_s: int) -> tuple[int, float] | None:
        """Add to a count of the window that begins with its first, and return it with the seconds that are left."""
        name = self._name("rate", key)
        found = self._ask([("SET", name, 0, "EX", window_s, "NX"), ("INCRBY", name, amount), ("PTTL", name)])
        if found is None or not isinstance(found[1], int) or not isinstance(found[2], int):
            return None
        if found[2] < 0:  # it ended between the two, or was never ours: no count may stay for ever
            self._ask([("EXPIRE", name, window_s)])
            return found[1], float(window_s)
        return found[1], min(found[2] / 1000, window_s)

    def wrong(self, kind: str) -> None:
        """Note that a value was found that this version cannot read."""
        self._note(f"{kind}_wrong")

    def figures(self) -> SharedFigures:
        """Return how it does now: one that is thought connected is asked, another is looked for."""
        if self.is_connected:
            self._ask([("PING",)])
        self.connect()
        with self._lock:
            return SharedFigures(self._state, self._fault, round(self._clock() - self._since, 1), dict(self.counts))

    def close(self) -> None:
        """Hang up, and try no more."""
        self._ended.set()
        thread = self._thread
        if thread is not None:
            thread.join()
        self._lose("closed", None)

    def _name(self, kind: str, key: str) -> str:
        return f"{self.prefix}:{kind}:{key}"

    def _note(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1

    def _ask(self, commands: list[tuple[Any, ...]]) -> list[Any] | None:
        """Return the answers; None where there is no connection, no time left, or no answer of use."""
        left_s = min(getattr(self._own, "left_s", OP_S), OP_S)
        began = self._clock()
        try:
            link = self._taken(left_s)
            return self._answers(link, commands, began + left_s) if link else None
        finally:
            if hasattr(self._own, "left_s"):
                self._own.left_s -= self._clock() - began

    def _taken(self, left_s: float) -> Link | None:
        """Return a connection that is free within the time; begin to connect where there is none."""
        if self._state == "connected":
            with suppress(Empty):
                if left_s > 0 and not (link := self._free.get(timeout=left_s)).is_stale():
                    return link
                if left_s > 0:
                    link.close()
                    self._lose("closed", None)  # some hosts hang up an idle one: no fault until it cannot be made anew
        self._note("skipped")
        self.connect()
        return None

    def _answers(self, link: Link, commands: list[tuple[Any, ...]], ends: float) -> list[Any] | None:
        try:
            found = link.ask(commands, max(ends - self._clock(), 0.001), MOST_BYTES)
        except LinkFault as error:
            link.close()
            self._note("errors")
            self._lose(error.fault, error)
            self.connect()
            return None
        except Refused as error:
            self._give_back(link)
            self._note("refusals")
            self._refused(error)
            return None
        self._give_back(link)
        if self._fault and commands[0][0] == "SET":
            self._accepted()
        return found

    def _give_back(self, link: Link) -> None:
        with self._lock:
            if self._state == "connected" and not self._free.full():
                self._free.put_nowait(link)
                return
        link.close()

    def _refused(self, error: Refused) -> None:
        with self._lock:
            is_new, self._fault = self._fault != error.fault, error.fault
        if is_new:
            log.warning("Redis answers, and refuses: %s", error)

    def _accepted(self) -> None:
        with self._lock:
            self._fault = ""
        log.info("Redis takes what it is given again")

    def _lose(self, fault: str, error: Exception | None) -> None:
        with self._lock:
            if self._state == "connected":
                self._state, self._since = "away", self._clock()
            self._fault = fault
            links = [self._free.get_nowait() for _ in range(self._free.qsize())]
        for link in links:
            link.close()
        if error is not None:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Say once in the log that it is away, and go on."""
        if not self._is_told:
            log.warning("Redis is away, and this process goes on without it: %s", error)
        self._is_told = True

    def _connect(self) -> None:
        """Try until there are connections that answer in time. After an answer that came late or wrong, rest first."""
        is_rest_due = self._fault not in ("", "closed")
        while not (is_rest_due and self._ended.wait(self._retry_s)):
            made: list[Link] = []
            try:
                for _ in range(CONNECTIONS):
                    made.append(self._link())
                    greet(made[-1])
            except (LinkFault, Refused) as error:
                for link in made:
                    link.close()
                self._note("failed_connects")
                self._stay_away(error)
                is_rest_due = True
                continue
            self._take_up(made)
            return

    def _stay_away(self, error: LinkFault | Refused) -> None:
        with self._lock:
            if self._state == "connecting":
                self._state, self._since = "away", self._clock()
            self._fault = error.fault
        self._tell(error)

    def _take_up(self, made: list[Link]) -> None:
        with self._lock:
            self._state, self._fault, self._since = "connected", "", self._clock()
            self._thread = None  # this one ends now: were the connection lost at once, another must begin
            for link in made:
                self._free.put_nowait(link)
        if self._is_told:
            log.info("Redis is there again")
        self._is_told = False


def greet(link: Link) -> None:
    """Raise LinkFault where what is at the other end does not answer as a Redis does, and in time."""
    if link.ask([("PING",)], OP_S, MOST_BYTES) != [b"PONG"]:
        raise LinkFault("garbage", "PING was answered by something else than PONG")
