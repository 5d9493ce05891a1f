"""The figures in Prometheus's text format, built for each scrape without global state.

Per-worker figures carry the process id as the label `worker`: a scrape reaches any of several workers, and their
counters must not be taken for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from operations.figures import Figures
from operations.health import StoredCounts
from utils.memory import MB

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Rows = Iterable[tuple[Mapping[str, str], float | None]]
# A format that every version of Prometheus reads.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("off", "idle", "loading", "ready", "unavailable")


def exposition(figures: Figures, counts: StoredCounts | None, is_public: bool = False) -> bytes:
    """Return the metrics as text, for everybody only those of the site as a whole.

    The library is loaded by the first scrape, since it takes 0.6 MB.
    """
    from prometheus_client import generate_latest

    return generate_latest(_Collected(figures, counts, is_public))


@dataclass(frozen=True, slots=True)
class _Collected:
    figures: Figures
    counts: StoredCounts | None
    is_public: bool

    def collect(self) -> Iterator[Metric]:
        yield from _site_metrics(self.figures, self.counts)
        if not self.is_public:
            yield from _process_metrics(self.figures)
            yield from _worker_metrics(self.figures)


def _metric(name: str, help_text: str, rows: Rows, is_counter: bool = False) -> Iterator[Metric]:
    """Yield a gauge or a counter with its labels; nothing without values."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    known = [(labels, value) for labels, value in rows if value is not None]
    if known:
        kind = CounterMetricFamily if is_counter else GaugeMetricFamily
        metric = kind(f"matmon_{name}", help_text, labels=list(known[0][0]))
        for labels, value in known:
            metric.add_metric(list(labels.values()), value)
        yield metric


def _site_metrics(figures: Figures, counts: StoredCounts | None) -> Iterator[Metric]:
    used = figures.memory
    for name, help_text, value in (
        ("memory_used_bytes", "Memory that the host counts, or that the site's processes hold", used.used_mb * MB),
        ("memory_limit_bytes", "The memory limit", used.limit_mb * MB),
        ("memory_used_ratio", "Share of the memory limit that is used", used.share),
        ("memory_anonymous_bytes", "Memory that no file backs", used.anonymous_mb * MB),
        ("database_up", "1 while the database answers", float(counts is not None)),
    ):
        yield from _metric(name, help_text, [({}, value)])
    if counts:
        yield from _metric("documents", "Documents", [({}, counts.documents)])
        help_text = "Documents that have a current embedding"
        yield from _metric("documents_with_embeddings", help_text, [({}, counts.with_embeddings)])
        yield from _metric("documents_waiting", "Documents that wait for an embedding", [({}, counts.waiting)])


def _process_metrics(figures: Figures) -> Iterator[Metric]:
    processes: Rows = [
        ({"pid": str(process.pid), "role": process.role, "kind": kind}, None if value is None else value * MB)
        for process in figures.processes
        for kind, value in process.kinds.items()
    ]
    yield from _metric("process_memory_bytes", "Memory of each process by the way it is counted", processes)


def _worker_metrics(figures: Figures) -> Iterator[Metric]:
    model, guard, pool, shared = figures.model, figures.guard, figures.pool, figures.shared
    worker = {"worker": str(figures.worker)}

    def rows(label: str, values: Mapping[str, float]) -> Rows:
        return [({**worker, label: name}, value) for name, value in values.items()]

    for name, help_text, value in (
        ("up_seconds", "Time since the worker's application was made", figures.up_s),
        ("model_cost_bytes", "What the model added to the process when it was last loaded",
         None if model.cost_mb is None else model.cost_mb * MB),
        ("model_load_seconds", "How long the model last took to load", model.loaded_in_s),
        ("model_unused_seconds", "Time since the model was last used, while it is loaded", model.unused_s),
        ("model_given_back_in_seconds", "Time until an unused model is unloaded", model.given_back_in_s),
        ("text_only_left_seconds", "How long searches use keywords only, because memory is low",
         guard.text_only_left_s),
        ("redis_up", "1 while Redis answers", float(shared.state == "connected") if shared else None),
    ):  # fmt: skip
        yield from _metric(name, help_text, [(worker, value)])
    states: Rows = [({**worker, "model": model.name, "state": state}, float(state == model.state)) for state in STATES]
    connections = {"in_use": pool.in_use, "open": pool.open, "most": pool.most}
    parts = {name: mb * MB for name, mb in figures.parts.items()}
    for name, help_text, labelled in (
        ("memory_part_bytes", "Memory by part: the model, the index, the caches, and the rest", rows("part", parts)),
        ("model_state", "1 for the state that the model is in", states),
        ("cache", "Figures of the caches, by name", rows("figure", figures.caches)),
        ("database_connections", "Connections to the database by state", rows("state", connections)),
        *((f"index_{kind}", f"Embeddings in memory: {kind}",
           rows("index", {name: sizes[kind] for name, sizes in figures.index.items()})) for kind in ("rows", "bytes")),
    ):  # fmt: skip
        yield from _metric(name, help_text, labelled)
    for name, help_text, labelled in (
        ("guard_events", "What the memory guard did, by kind", rows("kind", guard.counts)),
        ("searches", "Searches by mode", rows("mode", figures.searches)),
        ("search_seconds", "Time spent on searches by mode", rows("mode", figures.search_seconds)),
        ("redis_events", "Operations on Redis by outcome", rows("event", shared.counts) if shared else ()),
    ):
        yield from _metric(name, help_text, labelled, is_counter=True)
