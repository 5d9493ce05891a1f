"""A memory report on a running site, from its processes or from its own figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from operations.fetch import NotAnswered, figures_at
from operations.memory import DEFAULT_LIMIT_MB, SAID, Level, level, memory_advice
from operations.processes import ProcessFigures, Running, figures_of
from utils.memory import MB, GroupMemory, group_memory

GROUP = ("used_mb", "limit_mb", "anonymous_mb")
VERDICTS: dict[Level, str] = {
    "fine": "well: there is room",
    "high": "above 80 %: it works, and the next load may be too much",
    "critical": "above 95 %: the host may stop it at any moment",
}


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Megabytes; `told` are the app's own figures, None if unavailable; `unseen` explains what is missing."""

    of: str
    used_mb: float
    limit_mb: float
    share: float
    level: Level
    verdict: str
    advice: list[str]
    counted_by: str
    processes: list[ProcessFigures]
    group: dict[str, float | None] | None
    told: dict[str, Any] | None
    unseen: list[str]

    @property
    def parts(self) -> dict[str, float]:
        return dict(self.told["parts"]) if self.told else {}


def of_running(site: Running, limit_mb: float | None = None) -> MemoryReport:
    """Return the report on local processes, with the app's own figures if available."""
    processes, unseen = figures_of(site.processes), list(site.remarks)
    told = figures_told_by(site, unseen)
    group = group_memory(process=site.processes[0].pid)
    unseen += hidden_figures(processes)
    used_mb, counted_by = counted(processes, group)
    allowed = limit_mb or (told["limit_mb"] if told else None) or (group and group.limit and group.limit / MB)
    name = f"server {site.processes[0].pid}" + (f" at {site.address}" if site.address else "")
    return memory_report(
        name, used_mb, allowed or DEFAULT_LIMIT_MB, counted_by, processes, of_group(group), told, unseen
    )


def of_address(address: str, limit_mb: float | None = None) -> MemoryReport:
    """Return the report on a remote site, from its own figures; raises NotAnswered."""
    told = figures_at(address)
    try:
        checked_answer = checked_figures(told)
        processes = [process_told(process) for process in told["processes"]]
        group = {name: optional_number(told["group"].get(name)) for name in GROUP} if told["group"] else None
        used_mb, allowed = checked_answer["used_mb"], limit_mb or checked_answer["limit_mb"]
        return memory_report(address, used_mb, allowed, str(told["source"]), processes, group, checked_answer, [])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAnswered(f"{address} answered JSON that is not this site's: {error!r}") from error


def memory_report(
    of: str,
    used_mb: float,
    limit_mb: float,
    counted_by: str,
    processes: list[ProcessFigures],
    group: dict[str, float | None] | None,
    told: dict[str, Any] | None,
    unseen: list[str],
) -> MemoryReport:
    share = used_mb / limit_mb
    memory_level = level(share)
    workers = sum(process.role == "worker" for process in processes)
    names = memory_advice(memory_level, workers, str(told["model"].get("name")) if told else None)
    return MemoryReport(
        of, round(used_mb, 1), round(limit_mb, 1), round(share, 3), memory_level, VERDICTS[memory_level],
        [SAID[name] for name in names], counted_by, processes, group, told, unseen,
    )  # fmt: skip


def figures_told_by(site: Running, unseen: list[str]) -> dict[str, Any] | None:
    """Return the app's own figures; if unavailable, the reason is appended to `unseen`."""
    if site.address is None:
        unseen.append("the app's own figures: its address is unknown")
        return None
    try:
        told = checked_figures(figures_at(site.address))
    except NotAnswered as error:
        unseen.append(f"the app itself: {error}")
        return None
    except (KeyError, TypeError, ValueError, AttributeError):
        unseen.append(f"the app itself: what {site.address} answers is not this site's")
        return None
    if told["worker"] not in {process.pid for process in site.processes}:
        unseen.append(f"the app itself: {site.address} is answered by another server")
        return None
    return told


def checked_figures(told: dict[str, Any]) -> dict[str, Any]:
    """Return the figures if they have the expected shape; raises KeyError, TypeError, ValueError or AttributeError."""
    parts = {str(name): finite_number(value) for name, value in told["parts"].items()}
    numbers = {name: finite_number(told[name]) for name in ("used_mb", "limit_mb", "worker")}
    if numbers["limit_mb"] <= 0:
        raise ValueError("a limit of nothing")
    if not all(isinstance(told[name], dict) for name in ("model", "index", "caches", "pool", "guard")):
        raise TypeError("parts that are not as they should be")
    return {**told, **numbers, "parts": parts}


def finite_number(value: object) -> float:
    """Return a finite, non-negative number; raises ValueError or TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{value!r} cannot be")
    return float(value)


def optional_number(value: object) -> float | None:
    return None if value is None else finite_number(value)


def process_told(values: dict[str, Any]) -> ProcessFigures:
    figures = (optional_number(values[f"{kind}_mb"]) for kind in ("rss", "pss", "uss", "anonymous"))
    return ProcessFigures(int(finite_number(values["pid"])), str(values["role"]), *figures)


def hidden_figures(processes: Sequence[ProcessFigures]) -> list[str]:
    """Return a remark on the figures that the system did not tell."""
    kinds = [
        name for name in ("rss", "pss", "uss", "anonymous") if any(process.kinds[name] is None for process in processes)
    ]
    if not kinds:
        return []
    if not sys.platform.startswith("linux"):
        return [f"{', '.join(kinds)}: not available on this system"]
    return [f"{', '.join(kinds)}: only visible to the owner of the processes; run as root or as that user"]


def counted(processes: Sequence[ProcessFigures], group: GroupMemory | None) -> tuple[float, str]:
    """Return the memory used in MB and who counted it, as the site itself does."""
    if group and group.limit:
        return group.used / MB, "control group"
    by = "processes" if all(process.pss_mb for process in processes) else "processes, where shared pages count twice"
    return sum(process.counted_mb for process in processes), by


def of_group(group: GroupMemory | None) -> dict[str, float | None] | None:
    if group is None:
        return None
    values = {field.name: getattr(group, field.name) for field in fields(group)}
    return {f"{name}_mb": None if value is None else round(value / MB, 1) for name, value in values.items()}


def as_json(report: MemoryReport) -> dict[str, Any]:
    """Return the report as JSON, with the app's own figures at the top level."""
    told = report.told or {}
    own = {name: told.get(name) for name in ("parts", "model", "index", "caches", "pool", "guard")}
    return {name: value for name, value in asdict(report).items() if name != "told"} | own
