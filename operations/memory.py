"""Memory used by the site against its limit, and advice when it runs low."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from operations.processes import ProcessFigures, own_family
from utils.memory import MB, group_memory, mapped_file_bytes

DEFAULT_LIMIT_MB = 512
# A host kills at 100 %. Between 80 and 95 % one more model still fits; above 95 % it may not.
HIGH, CRITICAL = 0.80, 0.95
Level = Literal["fine", "high", "critical"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes used and allowed, and the share; `source` names who counted them."""

    used_mb: float
    limit_mb: float
    share: float
    source: str
    anonymous_mb: float = 0.0

    @property
    def level(self) -> Level:
        return level(self.share)


def level(share: float) -> Level:
    return "critical" if share > CRITICAL else "high" if share > HIGH else "fine"


def memory(limit_mb: int | None, processes: Sequence[ProcessFigures] | None = None) -> Memory:
    """Return the memory used against MEMORY_LIMIT_MB, the control group's limit, or 512 MB.

    `processes` are the server's own, if already known. The pages of the mapped index do not count: without a model or a
    cache to free for them, the system takes them back by itself.
    """
    group = group_memory()
    index = mapped_file_bytes()
    if group and group.limit:
        used, allowed, source = (group.used - min(index, group.mapped)) / MB, group.limit / MB, "control group"
        anonymous = group.anonymous / MB
    else:
        # A group without a limit may contain the whole machine: count only this app's processes.
        own = own_family() if processes is None else processes
        used, allowed, source = sum(process.counted_mb for process in own), float(DEFAULT_LIMIT_MB), "processes"
        anonymous = sum(process.anonymous_mb or 0.0 for process in own)
        used -= min(index / MB, max(used - anonymous, 0.0))
    allowed = float(limit_mb or allowed)
    return Memory(round(used, 1), round(allowed, 1), round(used / allowed, 3), source, round(anonymous, 1))


# By name, since the page translates them.
ADVICE = {
    "workers": "Set GUNICORN_WORKERS=1: each worker holds a model and an index of its own.",
    "idle": "Lower MODEL_IDLE_SECONDS: an unused model is unloaded sooner.",
    "batch": "Lower PASSAGE_BATCH_SIZE and TAG_BATCH_SIZE: fewer texts are encoded at once.",
    "pool": "Lower GUNICORN_THREADS, DB_POOL_SIZE and DB_MAX_OVERFLOW: fewer requests hold memory at once.",
    "none": "Set SEMANTIC_MODEL=none: keyword and tag search work without a model.",
    "plan": "If this persists, the host is too small for the load: choose a larger one.",
}


def memory_advice(level: Level, workers: int, model: str | None) -> Iterator[str]:
    """Yield the names of advice to give; `model` is `none` without semantic search, None if unknown."""
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
