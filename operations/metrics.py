"""The figures for Prometheus, in its text format; made anew for each answer, so that nothing global is kept.

What belongs to one worker carries its process id as `worker`: with several workers a scrape meets now one, now another,
and their counters must not be taken for one that jumps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.figures import Figures
from operations.health import Stored
from utils.memory import MB

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# The format that every version of Prometheus reads; the names need no newer one.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("off", "idle", "loading", "ready", "unavailable")


def exposition(figures: Figures, found: Stored | None) -> bytes:
    """Return the metrics as text. The library comes with the first scrape: 0.6 MB that most sites never need."""
    from prometheus_client import generate_latest

    return generate_latest(_Collected(figures, found))


@dataclass(frozen=True, slots=True)
class _Collected:
    figures: Figures
    found: Stored | None

    def collect(self) -> Iterator[Metric]:
        yield from _memory(self.figures)
        yield from _processes(self.figures)
        yield from _model(self.figures)
        yield from _held(self.figures)
        yield from _guard(self.figures)
        yield from _searches(self.figures)
        yield from _redis(self.figures)
        yield from _database(self.figures, self.found)


def gauge(name: str, said: str, value: float | None) -> Iterator[Metric]:
    """Yield one number; nothing where there is none."""
    from prometheus_client.core import GaugeMetricFamily

    if value is not None:
        yield GaugeMetricFamily(f"matmon_{name}", said, value=value)


def family(kind: Any, name: str, said: str, rows: Iterable[tuple[Mapping[str, str], float | None]]) -> Iterator[Metric]:
    """Yield numbers told apart by labels; nothing where there are none."""
    known = [(labels, value) for labels, value in rows if value is not None]
    if not known:
        return
    made = kind(f"matmon_{name}", said, labels=list(known[0][0]))
    for labels, value in known:
        made.add_metric(list(labels.values()), value)
    yield made


def gauges(name: str, said: str, rows: Iterable[tuple[Mapping[str, str], float | None]]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    return family(GaugeMetricFamily, name, said, rows)


def counters(name: str, said: str, rows: Iterable[tuple[Mapping[str, str], float | None]]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    return family(CounterMetricFamily, name, said, rows)


def own(figures: Figures, **labels: str) -> dict[str, str]:
    return {"worker": str(figures.worker), **labels}


def _memory(figures: Figures) -> Iterator[Metric]:
    used = figures.memory
    yield from gauge("memory_used_bytes", "Memory that the host counts, or that the site's processes hold",
                     used.used_mb * MB)  # fmt: skip
    yield from gauge("memory_limit_bytes", "Memory that is allowed", used.limit_mb * MB)
    yield from gauge("memory_used_ratio", "Memory used, of what is allowed", used.share)
    yield from gauge("memory_anonymous_bytes", "Memory that no file backs", used.anonymous_mb * MB)
    rows = [(own(figures, part=name), value * MB) for name, value in figures.parts.items()]
    yield from gauges("memory_part_bytes", "Memory by part: the model, the index, the caches, and the rest", rows)


def _processes(figures: Figures) -> Iterator[Metric]:
    rows = [
        ({"pid": str(one.pid), "role": one.role, "kind": kind}, None if value is None else value * MB)
        for one in figures.processes
        for kind, value in one.kinds.items()
    ]
    yield from gauges("process_memory_bytes", "Memory of each process by the way it is counted", rows)
    yield from gauges("up_seconds", "Time since the worker's application was made", [(own(figures), figures.up_s)])


def _model(figures: Figures) -> Iterator[Metric]:
    model = figures.model
    states = [(own(figures, model=model.name, state=one), float(one == model.state)) for one in STATES]
    yield from gauges("model_state", "1 for the state that the model is in", states)
    for name, said, value in (
        ("model_cost_bytes", "What the model added to the process when it was last loaded",
         None if model.cost_mb is None else model.cost_mb * MB),
        ("model_load_seconds", "How long the model last took to load", model.loaded_in_s),
        ("model_unused_seconds", "Time since the model was last used, while it is loaded", model.unused_s),
        ("model_given_back_in_seconds", "Time until an unused model is given back", model.given_back_in_s),
    ):  # fmt: skip
        yield from gauges(name, said, [(own(figures), value)])


def _held(figures: Figures) -> Iterator[Metric]:
    for kind in ("rows", "bytes"):
        rows = [(own(figures, index=name), held[kind]) for name, held in figures.index.items()]
        yield from gauges(f"index_{kind}", f"Embeddings in memory: {kind}", rows)
    caches = [(own(figures, figure=name), value) for name, value in figures.caches.items()]
    yield from gauges("cache", "What the caches tell of themselves, by the figure's name", caches)


def _guard(figures: Figures) -> Iterator[Metric]:
    guard = figures.guard
    done = [(own(figures, kind=kind), count) for kind, count in guard.counts.items()]
    yield from counters("guard_events", "What the memory guard did, by kind", done)
    left = [(own(figures), guard.text_only_left_s)]
    yield from gauges("text_only_left_seconds", "How long only words are searched, for want of memory", left)


def _searches(figures: Figures) -> Iterator[Metric]:
    counts = [(own(figures, mode=mode), count) for mode, count in figures.searches.items()]
    seconds = [(own(figures, mode=mode), spent) for mode, spent in figures.search_seconds.items()]
    yield from counters("searches", "Searches by mode", counts)
    yield from counters("search_seconds", "Time spent on searches by mode", seconds)


def _redis(figures: Figures) -> Iterator[Metric]:
    shared = figures.shared
    if shared is None:
        return
    yield from gauges("redis_up", "1 while the Redis answers", [(own(figures), float(shared.state == "connected"))])
    rows = [(own(figures, event=name), count) for name, count in shared.counts.items()]
    yield from counters("redis_events", "What was asked of the Redis, by how it ended", rows)


def _database(figures: Figures, found: Stored | None) -> Iterator[Metric]:
    yield from gauge("database_up", "1 while the database answers", float(found is not None))
    pool = figures.pool
    rows = [(own(figures, state=state), count) for state, count in
            (("in_use", pool.in_use), ("open", pool.open), ("most", pool.most))]  # fmt: skip
    yield from gauges("database_connections", "Connections to the database by state", rows)
    if found:
        yield from gauge("documents", "Documents", found.documents)
        yield from gauge("documents_with_embeddings", "Documents that can be found by meaning", found.with_embeddings)
        yield from gauge("documents_waiting", "Documents that wait for an embedding", found.waiting)
