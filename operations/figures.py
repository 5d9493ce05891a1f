"""All figures for the operator, for the page, the JSON API and Prometheus; makes no database query."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.pool import Pool, QueuePool

from indexes.choice import Serving
from operations.guard import Guard, GuardFigures, guard_figures
from operations.history import History, MemorySample
from operations.memory import Memory, memory, memory_advice
from operations.processes import ProcessFigures, own_family
from search.semantic import Semantic
from utils.memory import MB

if TYPE_CHECKING:
    from utils.redis_cache import RedisCache, RedisFigures

MOST_SLOWEST = 10
KEPT_S = 3_600.0
MOST_TEXT = 200  # characters of a query that are kept, if at all


@dataclass(frozen=True, slots=True)
class Search:
    """One search; its text is private, so `text` is None unless LOG_QUERIES=1."""

    at: float
    mode: str
    ms: float
    hits: int
    length: int  # characters
    words: int
    text: str | None = None


class Searches:
    """Search counts by mode since the start, and the slowest searches of the last hour; thread-safe."""

    def __init__(self, with_text: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self._with_text, self._clock = with_text, clock
        self._slowest: list[Search] = []
        self._lock = threading.Lock()

    def note(self, mode: str, text: str, hits: int, ms: float) -> None:
        shown = text[:MOST_TEXT] if self._with_text else None
        search = Search(self._clock(), mode, ms, hits, len(text), len(text.split()), shown)
        with self._lock:
            self.counts[mode] = self.counts.get(mode, 0) + 1
            self.seconds[mode] = self.seconds.get(mode, 0.0) + ms / 1000
            self._slowest = sorted([*self._recent(), search], key=lambda item: -item.ms)[:MOST_SLOWEST]

    def _recent(self) -> list[Search]:
        since = self._clock() - KEPT_S
        return [search for search in self._slowest if search.at >= since]

    def slowest(self) -> list[Search]:
        """Return the slowest searches of the last hour, slowest first."""
        with self._lock:
            return self._recent()


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """The model: what loading it cost, how long it has been unused, and when it will be unloaded.

    Seconds and megabytes; None if not applicable.
    """

    name: str
    state: str
    loaded: bool
    cost_mb: float | None
    loaded_in_s: float | None
    unused_s: float | None
    given_back_in_s: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Database connections: in use, open, kept in the pool, and the maximum."""

    in_use: int
    open: int
    size: int
    most: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Memory and everything that uses it; model, index, caches, pool and searches are those of this worker.

    `parts` are megabytes by name and add up to the memory used; `index` has rows and bytes by name; `vector_index` is
    the one in use for documents.
    """

    memory: Memory
    worker: int
    up_s: float
    processes: tuple[ProcessFigures, ...]
    parts: dict[str, float]
    model: ModelFigures
    index: dict[str, dict[str, int]]
    vector_index: Serving
    caches: dict[str, float]
    pool: PoolFigures
    guard: GuardFigures
    searches: dict[str, int]
    search_seconds: dict[str, float]
    slowest: tuple[Search, ...]
    shared: RedisFigures | None = None  # None without Redis

    @property
    def workers(self) -> int:
        return sum(process.role == "worker" for process in self.processes) or 1

    @property
    def advice(self) -> list[str]:
        """Return the names of advice in operations.memory; empty while all is well."""
        return list(memory_advice(self.memory.level, self.workers, self.model.name))


@dataclass(slots=True)
class Watch:
    """Collects the figures of this process and keeps its memory history."""

    semantic: Semantic
    guard: Guard | None
    engine: Engine
    most_connections: int
    limit_mb: int | None = None
    idle_s: float = 0.0
    with_text: bool = False
    own_caches: Callable[[], Mapping[str, Any]] = dict
    shared: RedisCache | None = None
    searches: Searches = field(init=False)
    history: History = field(init=False)
    since: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.searches = Searches(self.with_text)
        self.history = History(self.sample)

    def memory(self) -> Memory:
        return memory(self.limit_mb)

    def sample(self) -> MemorySample:
        used = self.memory()
        return MemorySample(time.time(), used.used_mb, used.limit_mb, used.anonymous_mb, *self._own_mb())

    def samples(self) -> list[MemorySample]:
        """Return the last hour's samples and one taken now."""
        return [*self.history.samples(), self.sample()]

    def figures(self) -> Figures:
        semantic, processes = self.semantic, own_family()
        used = memory(self.limit_mb, processes)
        return Figures(
            memory=used,
            worker=os.getpid(),
            up_s=round(time.time() - self.since, 1),
            processes=tuple(processes),
            parts=memory_parts(used.used_mb, *self._own_mb()),
            model=model_figures(semantic, self.idle_s),
            index=semantic.index_sizes(),
            vector_index=semantic.serving,
            caches=self.caches(),
            pool=pool_figures(self.engine.pool, self.most_connections),
            guard=guard_figures(self.guard),
            searches=dict(self.searches.counts),
            search_seconds={mode: round(value, 3) for mode, value in dict(self.searches.seconds).items()},
            slowest=tuple(self.searches.slowest()),
            shared=self.shared.figures() if self.shared else None,
        )

    def caches(self) -> dict[str, float]:
        """Return the figures of the caches by name."""
        return dict(flat_numbers(self.semantic.cache_figures())) | dict(flat_numbers(self.own_caches()))

    def _own_mb(self) -> tuple[float, float, float]:
        """Return the megabytes of the model, the index and the caches."""
        lazy = self.semantic.lazy
        model_mb = max(lazy.loaded_mb or 0.0, 0.0) if lazy.state == "ready" else 0.0
        index_bytes = sum(size["bytes"] for size in self.semantic.index_sizes().values())
        cache_bytes = sum(value for name, value in self.caches().items() if name.endswith("bytes"))
        return model_mb, index_bytes / MB, cache_bytes / MB


def flat_numbers(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested mappings, named by their path: `queries_entries`."""
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from flat_numbers(value, f"{before}{name}_")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", value


def memory_parts(used_mb: float, model_mb: float, index_mb: float, caches_mb: float) -> dict[str, float]:
    """Return megabytes by part; the rest is the application with its libraries."""
    known = {"model": model_mb, "index": index_mb, "caches": caches_mb}
    rest = max(used_mb - sum(known.values()), 0.0)
    return {name: round(value, 2) for name, value in {"application": rest, **known}.items()}


def model_figures(semantic: Semantic, idle_s: float) -> ModelFigures:
    lazy = semantic.lazy
    unused = lazy.unused_s
    left = max(idle_s - unused, 0.0) if unused is not None and idle_s > 0 else None
    loaded = lazy.state == "ready"
    return ModelFigures(
        name=lazy.model,
        state=lazy.condition,
        loaded=loaded,
        cost_mb=round_or_none(lazy.loaded_mb),
        loaded_in_s=round_or_none(lazy.loaded_s, 2),
        unused_s=round_or_none(unused),
        given_back_in_s=round_or_none(left),
        error=lazy.error if lazy.condition == "unavailable" else None,
    )


def pool_figures(pool: Pool, most: int) -> PoolFigures:
    """Return the pool's figures; all zero for a pool that keeps no connections, as in tests."""
    if not isinstance(pool, QueuePool):
        return PoolFigures(0, 0, 0, most)
    in_use = pool.checkedout()
    return PoolFigures(in_use, in_use + pool.checkedin(), pool.size(), most)


def round_or_none(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
