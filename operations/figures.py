"""Every figure that an operator sees, gathered in one place for the page, the JSON and Prometheus; asks no database."""

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
from operations.history import History, Sample
from operations.memory import Memory, advice, memory
from operations.processes import ProcessFigures, own_family
from search.semantic import Semantic
from utils.memory import MB

if TYPE_CHECKING:
    from utils.redis_cache import RedisCache, RedisFigures


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """The model: what it cost when it was loaded, since when nobody used it, and when it is given back.

    Seconds and megabytes; None for what does not apply: one that is not loaded, or never given back.
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
    """Connections to the database: at work, open, kept open, and the most there may be."""

    in_use: int
    open: int
    size: int
    most: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The memory and all that has a share in it; model, index, caches, pool and searches are this worker's own.

    `parts` are megabytes by name and add up to what is used; `index` has rows and bytes by name; `vector_index` is
    the one that serves for documents.
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
    shared: RedisFigures | None = None  # the Redis; None where none is set

    @property
    def workers(self) -> int:
        return sum(one.role == "worker" for one in self.processes) or 1

    @property
    def advice(self) -> list[str]:
        """Return the names of what to turn, of operations.memory; none while all is well."""
        return list(advice(self.memory.level, self.workers, self.model.name))


@dataclass(slots=True)
class Watch:
    """Collects the figures of this process and keeps the history of its memory."""

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

    def sample(self) -> Sample:
        used = self.memory()
        model, index, caches = self._own_mb(self.semantic)
        return Sample(time.time(), used.used_mb, used.limit_mb, used.anonymous_mb, model, index, caches)

    def samples(self) -> list[Sample]:
        """Return the last hour's samples and one of this moment."""
        return [*self.history.samples(), self.sample()]

    def figures(self) -> Figures:
        semantic, processes = self.semantic, own_family()
        used = memory(self.limit_mb, processes)
        return Figures(
            memory=used,
            worker=os.getpid(),
            up_s=round(time.time() - self.since, 1),
            processes=tuple(processes),
            parts=parts(used.used_mb, *self._own_mb(semantic)),
            model=model_figures(semantic, self.idle_s),
            index=index_figures(semantic),
            vector_index=semantic.serving,
            caches=self.caches(semantic),
            pool=pool_figures(self.engine.pool, self.most_connections),
            guard=guard_figures(self.guard),
            searches=dict(self.searches.counts),
            search_seconds={mode: round(value, 3) for mode, value in dict(self.searches.seconds).items()},
            slowest=tuple(self.searches.slowest()),
            shared=self.shared.figures() if self.shared else None,
        )

    def caches(self, semantic: Semantic) -> dict[str, float]:
        """Return what the caches tell of themselves, numbers by name; a search side without such figures has none."""
        told: Callable[[], Mapping[str, Any]] = getattr(semantic, "cache_figures", dict)
        return dict(numbers(told())) | dict(numbers(self.own_caches()))

    def _own_mb(self, semantic: Semantic) -> tuple[float, float, float]:
        """Return the megabytes of the model, the index and the caches."""
        model = (semantic.lazy.loaded_mb or 0.0) if semantic.lazy.state == "ready" else 0.0
        caches = sum(value for name, value in self.caches(semantic).items() if name.endswith("bytes"))
        return max(model, 0.0), sum(semantic.held_bytes().values()) / MB, caches / MB


def numbers(told: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers in a mapping of mappings, each with its path as a name: `queries_entries`."""
    for name, value in told.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{before}{name}_")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{before}{name}", value


def parts(used_mb: float, model_mb: float, index_mb: float, caches_mb: float) -> dict[str, float]:
    """Return megabytes by part; what has no figure of its own is the application with its libraries."""
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
        cost_mb=rounded(lazy.loaded_mb),
        loaded_in_s=rounded(lazy.loaded_s, 2),
        unused_s=rounded(unused),
        given_back_in_s=rounded(left),
        error=lazy.error if lazy.condition == "unavailable" else None,
    )


def index_figures(semantic: Semantic) -> dict[str, dict[str, int]]:
    sizes = semantic.held_bytes()
    return {name: {"rows": rows, "bytes": sizes.get(name, 0)} for name, rows in semantic.held_rows().items()}


def pool_figures(pool: Pool, most: int) -> PoolFigures:
    """Return the pool's figures; one that keeps nothing, as in tests of a single connection, has none."""
    if not isinstance(pool, QueuePool):
        return PoolFigures(0, 0, 0, most)
    in_use = pool.checkedout()
    return PoolFigures(in_use, in_use + pool.checkedin(), pool.size(), most)


def rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


MOST_SLOWEST = 10
KEPT_S = 3_600.0
MOST_TEXT = 200  # characters of a query that are kept, where they are at all


@dataclass(frozen=True, slots=True)
class Search:
    """One search. What was asked is private: `text` is None unless the operator chose LOG_QUERIES=1."""

    at: float
    mode: str
    ms: float
    hits: int
    length: int  # characters
    words: int
    text: str | None = None


class Searches:
    """Counts by mode since the start, and at most MOST_SLOWEST of the last hour's searches; thread-safe."""

    def __init__(self, with_text: bool = False, clock: Callable[[], float] = time.time) -> None:
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self._with_text, self._clock = with_text, clock
        self._slowest: list[Search] = []
        self._turn = threading.Lock()

    def note(self, mode: str, text: str, hits: int, ms: float) -> None:
        shown = text[:MOST_TEXT] if self._with_text else None
        made = Search(self._clock(), mode, ms, hits, len(text), len(text.split()), shown)
        with self._turn:
            self.counts[mode] = self.counts.get(mode, 0) + 1
            self.seconds[mode] = self.seconds.get(mode, 0.0) + ms / 1000
            self._slowest = sorted([*self._recent(), made], key=lambda one: -one.ms)[:MOST_SLOWEST]

    def _recent(self) -> list[Search]:
        since = self._clock() - KEPT_S
        return [one for one in self._slowest if one.at >= since]

    def slowest(self) -> list[Search]:
        """Return the slowest searches of the last hour, the slowest first."""
        with self._turn:
            return self._recent()
