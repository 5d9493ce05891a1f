"""What to turn when memory is short, most useful first."""

from __future__ import annotations

from collections.abc import Iterator

from operations.memory import Level

# By name, since the page says them in the reader's language.
SAID = {
    "workers": "Set GUNICORN_WORKERS=1: each worker holds a model and an index of its own.",
    "idle": "Lower MODEL_IDLE_SECONDS: an unused model is given back sooner.",
    "batch": "Lower PASSAGE_BATCH_SIZE and TAG_BATCH_SIZE: fewer texts are encoded at once.",
    "pool": "Lower GUNICORN_THREADS, DB_POOL_SIZE and DB_MAX_OVERFLOW: fewer requests hold memory at once.",
    "none": "Set SEMANTIC_MODEL=none: search by words and tags goes on without a model.",
    "plan": "If it stays so, the host is too small for what is asked of it: choose a larger one.",
}


def advice(level: Level, workers: int, model: str | None) -> Iterator[str]:
    """Yield the names of what to turn; `model` is `none` where meaning is turned off, None where nobody knows."""
    if level == "fine":
        return
    if workers > 1:
        yield "workers"
    if model != "none":
        yield "idle"
        yield "batch"
    yield "pool"
    if level == "critical":
        if model != "none":
            yield "none"
        yield "plan"
