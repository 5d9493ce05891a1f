"""The figures as JSON: GET /api/monitoring/memory and GET /api/monitoring/health."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from operations.figures import Figures
from operations.health import Stored
from operations.history import EVERY_S, History, Sample
from utils.memory import MB, group_memory


def memory_json(figures: Figures, history: History, most_samples: int = 0) -> dict[str, Any]:
    """Return where the memory is, part by part; of what was asked and found nothing."""
    used = figures.memory
    return {
        **asdict(used),
        "level": used.level,
        "advice": figures.advice,
        "group": group_json(),
        "processes": [asdict(one) for one in figures.processes],
        "worker": figures.worker,
        "parts": figures.parts,
        "model": asdict(figures.model),
        "index": figures.index,
        "vector_index": figures.vector_index.figures(),
        "caches": figures.caches,
        "pool": asdict(figures.pool),
        "guard": asdict(figures.guard),
        "history": history_json(history.samples(), most_samples),
    }


def group_json() -> dict[str, float | None] | None:
    """Return the control group's own figures in MB; None on a system without them."""
    group = group_memory()
    if group is None:
        return None
    limit = round(group.limit / MB, 1) if group.limit else None
    return {
        "used_mb": round(group.used / MB, 1),
        "limit_mb": limit,
        "anonymous_mb": round(group.anonymous / MB, 1),
    }


def history_json(samples: Sequence[Sample], most: int) -> dict[str, Any]:
    """Return the hour in short, and the newest `most` samples, oldest first."""
    return {
        "every_s": EVERY_S,
        "kept": len(samples),
        "peak_mb": round(max((one.used_mb for one in samples), default=0.0), 1),
        "samples": [sample_json(one) for one in samples[len(samples) - min(most, len(samples)) :]],
    }


def sample_json(sample: Sample) -> dict[str, float]:
    return {name: round(value, 1) for name, value in asdict(sample).items()}


def health_json(figures: Figures, found: Stored | None) -> dict[str, Any]:
    """Return how each part does; `status` is `error` without the database, `degraded` where something is amiss."""
    used, model, guard = figures.memory, figures.model, figures.guard
    shared = figures.shared
    amiss = used.level != "fine" or model.state == "unavailable" or guard.text_only_left_s > 0
    amiss = amiss or (shared is not None and (shared.state == "away" or bool(shared.fault)))
    amiss = amiss or figures.vector_index.is_refused
    return {
        "status": "error" if found is None else "degraded" if amiss else "ok",
        "up_s": figures.up_s,
        "worker": figures.worker,
        "database": {"answers": found is not None, "pool": asdict(figures.pool)},
        "documents": asdict(found) if found else None,
        "memory": asdict(used) | {"level": used.level},
        "model": asdict(model),
        "vector_index": figures.vector_index.figures(),
        "text_only_left_s": guard.text_only_left_s,
        "redis": asdict(shared) if shared else None,
        "searches": searches_json(figures),
    }


def searches_json(figures: Figures) -> dict[str, dict[str, float]]:
    """Return by mode how many searches there were since the start, and how long one took on average."""
    return {
        mode: {"count": count, "mean_ms": round(figures.search_seconds.get(mode, 0.0) * 1000 / count, 1)}
        for mode, count in figures.searches.items()
    }
