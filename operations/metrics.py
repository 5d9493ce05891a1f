"""The figures in Prometheus's text format, built for each scrape without global state.

Per-worker figures carry the process id as the label `worker`: a scrape reaches any of several workers, and their
counters must not be taken for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.figures import Figures
from operations.health import StoredCounts
from utils.memory import MB

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# A format that every version of Prometheus reads.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("off", "idle", "loading", "ready", "unavailable")


def exposition(figures: Figures, counts: StoredCounts | None) -> bytes:
    """Return the metrics as text; the library is loaded by the first scrape, since it takes 0.6 MB."""
    from prometheus_client import generate_latest

    return generate_latest(_Collected(figures, counts))


@dataclass(frozen=True, slots=True)
class _Collected:
    figures: Figures
    counts: StoredCounts | None

    def collect(self) -> Iterator[Metric]:
        yield from _memory(self.figures)
        yield from _processes(self.figures)
        yield from _model_metrics(self.figures)
        yield from _held(self.figures)
        yield from _guard(self.figures)
        yield from _searches(self.figures)
        yield from _redis(self.figures)
        yield from _database(self.figures, self.counts)


def gauge(name: str, help_text: str, value: float | None) -> Iterator[Metric]:
    """Yield a gauge; nothing for None."""
    from prometheus_client.core import GaugeMetricFamily

    if value is not None:
        yield GaugeMetricFamily(f"matmon_{name}", help_text, value=value)


def metric_family(
    kind: Any, name: str, help_text: str, rows: Iterable[tuple[Mapping[str, str], float | None]]
) -> Iterator[Metric]:
    """Yield a metric with labels; nothing without values."""
    known = [(labels, value) for labels, value in rows if value is not None]
    if not known:
        return
    metric = kind(f"matmon_{name}", help_text, labels=list(known[0][0]))
    for labels, value in known:
        metric.add_metric(list(labels.values()), value)
    yield metric


def gauges(name: str, help_text: str, rows: Iterable[tuple[Mapping[str, str], float | None]]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    return metric_family(GaugeMetricFamily, name, help_text, rows)


def counters(name: str, help_text: str, rows: Iterable[tuple[Mapping[str, str], float | None]]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    return metric_family(CounterMetricFamily, name, help_text, rows)


def own_labels(figures: Figures, **labels: str) -> dict[str, str]:
    return {"worker": str(figures.worker), **labels}


def _memory(figures: Figures) -> Iterator[Metric]:
    used = figures.memory
    yield from gauge("memory_used_bytes", "Memory that the host counts, or that the site's processes hold",
                     used.used_mb * MB)  # fmt: skip
    yield from gauge("memory_limit_bytes", "The memory limit", used.limit_mb * MB)
    yield from gauge("memory_used_ratio", "Share of the memory limit that is used", used.share)
    yield from gauge("memory_anonymous_bytes", "Memory that no file backs", used.anonymous_mb * MB)
    rows = [(own_labels(figures, part=name), value * MB) for name, value in figures.parts.items()]
    yield from gauges("memory_part_bytes", "Memory by part: the model, the index, the caches, and the rest", rows)


def _processes(figures: Figures) -> Iterator[Metric]:
    rows = [
        ({"pid": str(process.pid), "role": process.role, "kind": kind}, None if value is None else value * MB)
        for process in figures.processes
        for kind, value in process.kinds.items()
    ]
    yield from gauges("process_memory_bytes", "Memory of each process by the way it is counted", rows)
    yield from gauges(
        "up_seconds", "Time since the worker's application was made", [(own_labels(figures), figures.up_s)]
    )


def _model_metrics(figures: Figures) -> Iterator[Metric]:
    model = figures.model
    states = [(own_labels(figures, model=model.name, state=state), float(state == model.state)) for state in STATES]
    yield from gauges("model_state", "1 for the state that the model is in", states)
    for name, help_text, value in (
        ("model_cost_bytes", "What the model added to the process when it was last loaded",
         None if model.cost_mb is None else model.cost_mb * MB),
        ("model_load_seconds", "How long the model last took to load", model.loaded_in_s),
        ("model_unused_seconds", "Time since the model was last used, while it is loaded", model.unused_s),
        ("model_given_back_in_seconds", "Time until an unused model is unloaded", model.given_back_in_s),
    ):  # fmt: skip
        yield from gauges(name, help_text, [(own_labels(figures), value)])


def _held(figures: Figures) -> Iterator[Metric]:
    for kind in ("rows", "bytes"):
        rows = [(own_labels(figures, index=name), held[kind]) for name, held in figures.index.items()]
        yield from gauges(f"index_{kind}", f"Embeddings in memory: {kind}", rows)
    caches = [(own_labels(figures, figure=name), value) for name, value in figures.caches.items()]
    yield from gauges("cache", "Figures of the caches, by name", caches)


def _guard(figures: Figures) -> Iterator[Metric]:
    guard = figures.guard
    done = [(own_labels(figures, kind=kind), count) for kind, count in guard.counts.items()]
    yield from counters("guard_events", "What the memory guard did, by kind", done)
    left = [(own_labels(figures), guard.text_only_left_s)]
    yield from gauges("text_only_left_seconds", "How long searches use keywords only, because memory is low", left)


def _searches(figures: Figures) -> Iterator[Metric]:
    counts = [(own_labels(figures, mode=mode), count) for mode, count in figures.searches.items()]
    seconds = [(own_labels(figures, mode=mode), spent) for mode, spent in figures.search_seconds.items()]
    yield from counters("searches", "Searches by mode", counts)
    yield from counters("search_seconds", "Time spent on searches by mode", seconds)


def _redis(figures: Figures) -> Iterator[Metric]:
    shared = figures.shared
    if shared is None:
        return
    yield from gauges("redis_up", "1 while Redis answers", [(own_labels(figures), float(shared.state == "connected"))])
    rows = [(own_labels(figures, event=name), count) for name, count in shared.counts.items()]
    yield from counters("redis_events", "Operations on Redis by outcome", rows)


def _database(figures: Figures, counts: StoredCounts | None) -> Iterator[Metric]:
    yield from gauge("database_up", "1 while the database answers", float(counts is not None))
    pool = figures.pool
    rows = [(own_labels(figures, state=state), count) for state, count in
            (("in_use", pool.in_use), ("open", pool.open), ("most", pool.most))]  # fmt: skip
    yield from gauges("database_connections", "Connections to the database by state", rows)
    if counts:
        yield from gauge("documents", "Documents", counts.documents)
        yield from gauge("documents_with_embeddings", "Documents that have a current embedding", counts.with_embeddings)
        yield from gauge("documents_waiting", "Documents that wait for an embedding", counts.waiting)
