"""A running site's memory as one report, from its processes or from its own answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from operations.fetch import NotAnswered, figures_at
from operations.memory import DEFAULT_LIMIT_MB, SAID, Level, advice, level
from operations.processes import ProcessFigures, Running, figures_of
from utils.memory import MB, GroupMemory, group_memory

GROUP = ("used_mb", "limit_mb", "anonymous_mb")
VERDICTS: dict[Level, str] = {
    "fine": "well: there is room",
    "high": "above 80 %: it works, and the next load may be too much",
    "critical": "above 95 %: the host may stop it at any moment",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Megabytes; `told` is what the app says of itself, None where it could not be asked; `unseen` says what lacks."""

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


def of_running(found: Running, limit_mb: float | None = None) -> Report:
    """Return the report of processes on this machine, and what the app adds where it can be asked."""
    processes, unseen = figures_of(found.processes), list(found.remarks)
    told = told_by(found, unseen)
    group = group_memory(process=found.processes[0].pid)
    unseen += hidden(processes)
    used_mb, counted_by = counted(processes, group)
    allowed = limit_mb or (told["limit_mb"] if told else None) or (group and group.limit and group.limit / MB)
    name = f"server {found.processes[0].pid}" + (f" at {found.address}" if found.address else "")
    return made(name, used_mb, allowed or DEFAULT_LIMIT_MB, counted_by, processes, of_group(group), told, unseen)


def of_address(address: str, limit_mb: float | None = None) -> Report:
    """Return the report of a site elsewhere, by its own words; raises NotAnswered."""
    told = figures_at(address)
    try:
        checked_answer = checked(told)
        processes = [process_told(one) for one in told["processes"]]
        group = {name: optional(told["group"].get(name)) for name in GROUP} if told["group"] else None
        used_mb, allowed = checked_answer["used_mb"], limit_mb or checked_answer["limit_mb"]
        return made(address, used_mb, allowed, str(told["source"]), processes, group, checked_answer, [])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAnswered(f"{address} answered JSON that is not this site's: {error!r}") from error


def made(
    of: str,
    used_mb: float,
    limit_mb: float,
    counted_by: str,
    processes: list[ProcessFigures],
    group: dict[str, float | None] | None,
    told: dict[str, Any] | None,
    unseen: list[str],
) -> Report:
    share = used_mb / limit_mb
    found = level(share)
    workers = sum(one.role == "worker" for one in processes)
    names = advice(found, workers, str(told["model"].get("name")) if told else None)
    return Report(
        of, round(used_mb, 1), round(limit_mb, 1), round(share, 3), found, VERDICTS[found],
        [SAID[name] for name in names], counted_by, processes, group, told, unseen,
    )  # fmt: skip


def told_by(found: Running, unseen: list[str]) -> dict[str, Any] | None:
    """Return what the app says of itself; where it says nothing, a line is added to `unseen`."""
    if found.address is None:
        unseen.append("the app itself was not asked: where it listens cannot be seen")
        return None
    try:
        told = checked(figures_at(found.address))
    except NotAnswered as error:
        unseen.append(f"the app itself: {error}")
        return None
    except (KeyError, TypeError, ValueError, AttributeError):
        unseen.append(f"the app itself: what {found.address} answers is not this site's")
        return None
    if told["worker"] not in {one.pid for one in found.processes}:
        unseen.append(f"the app itself: {found.address} is answered by another server")
        return None
    return told


def checked(told: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose figures are what they should be; raises what Python raises where they are not."""
    parts = {str(name): number(value) for name, value in told["parts"].items()}
    numbers = {name: number(told[name]) for name in ("used_mb", "limit_mb", "worker")}
    if numbers["limit_mb"] <= 0:
        raise ValueError("a limit of nothing")
    if not all(isinstance(told[name], dict) for name in ("model", "index", "caches", "pool", "guard")):
        raise TypeError("parts that are not as they should be")
    return {**told, **numbers, "parts": parts}


def number(value: object) -> float:
    """Return a finite number that is not negative; raises ValueError or TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{value!r} cannot be")
    return float(value)


def optional(value: object) -> float | None:
    return None if value is None else number(value)


def process_told(one: dict[str, Any]) -> ProcessFigures:
    figures = (optional(one[f"{kind}_mb"]) for kind in ("rss", "pss", "uss", "anonymous"))
    return ProcessFigures(int(number(one["pid"])), str(one["role"]), *figures)


def hidden(processes: Sequence[ProcessFigures]) -> list[str]:
    """Return what the system did not tell of the processes."""
    kinds = [name for name in ("rss", "pss", "uss", "anonymous") if any(one.kinds[name] is None for one in processes)]
    if not kinds:
        return []
    if not sys.platform.startswith("linux"):
        return [f"{', '.join(kinds)}: this system does not tell them"]
    return [f"{', '.join(kinds)}: this system tells them of one's own processes only; try as root or as their owner"]


def counted(processes: Sequence[ProcessFigures], group: GroupMemory | None) -> tuple[float, str]:
    """Return the memory used in MB and who counted it, as the site itself does."""
    if group and group.limit:
        return group.used / MB, "control group"
    by = "processes" if all(one.pss_mb for one in processes) else "processes, where shared pages count twice"
    return sum(one.counted_mb for one in processes), by


def of_group(group: GroupMemory | None) -> dict[str, float | None] | None:
    if group is None:
        return None
    values = {field.name: getattr(group, field.name) for field in fields(group)}
    return {f"{name}_mb": None if value is None else round(value / MB, 1) for name, value in values.items()}


def as_json(report: Report) -> dict[str, Any]:
    """Return the report for a program: what the app told stands beside the rest, and not twice."""
    told = report.told or {}
    own = {name: told.get(name) for name in ("parts", "model", "index", "caches", "pool", "guard")}
    return {name: value for name, value in asdict(report).items() if name != "told"} | own
