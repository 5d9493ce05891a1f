"""The memory that the site uses against what it is allowed, and how near the limit is too near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from operations.family import ProcessFigures, own_family
from utils.memory import MB, group_memory

DEFAULT_LIMIT_MB = 512
# A host kills at 100 %. Between 80 and 95 the site still serves one model's loading; above it, not surely.
HIGH, CRITICAL = 0.80, 0.95
Level = Literal["fine", "high", "critical"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes used and allowed, and the share; `source` says whose figures they are."""

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

    `processes` are the server's own, where they were looked at already.
    """
    group = group_memory()
    if group and group.limit:
        used, allowed, source = group.used / MB, group.limit / MB, "control group"
        anonymous = group.anonymous / MB
    else:
        # Without a limit of its own the group may hold the whole machine: only this app's processes are counted.
        found = own_family() if processes is None else processes
        used, allowed, source = sum(one.counted_mb for one in found), float(DEFAULT_LIMIT_MB), "processes"
        anonymous = sum(one.anonymous_mb or 0.0 for one in found)
    allowed = float(limit_mb or allowed)
    return Memory(round(used, 1), round(allowed, 1), round(used / allowed, 3), source, round(anonymous, 1))
