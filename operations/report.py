"""A memory report on a running site, from its processes or from its own figures."""

from __future__ import annotations

import json
import os
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from operations.memory import ADVICE, DEFAULT_LIMIT_MB, Level, level, memory_advice
from operations.processes import ProcessFigures, Running, figures_of, instance_folder
from utils.memory import MB, GroupMemory, group_memory

ROOT = Path(__file__).resolve().parents[1]
FIGURES_PATH = "/api/monitoring/memory"
WAIT_S = 10.0
MOST_BYTES = 1_048_576
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
TOKEN_SETTINGS = ("METRICS_TOKEN", "ADMIN_TOKEN")
# What a site tells nobody without a token.
UNTOLD: dict[str, Any] = {"processes": [], "index": {}, "caches": {}, "pool": {}, "guard": {}}
GROUP = ("used_mb", "limit_mb", "anonymous_mb")
VERDICTS: dict[Level, str] = {
    "fine": "well: there is room",
    "high": "above 80 %: it works, and the next load may be too much",
    "critical": "above 95 %: the host may stop it at any moment",
}


class NotAnswered(Exception):
    """No figures were received; the message says what was."""


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """Megabytes; `own` are the app's own figures, None if unavailable; `unseen` explains what is missing."""

    of: str
    used_mb: float
    limit_mb: float
    counted_by: str
    processes: list[ProcessFigures]
    group: dict[str, float | None] | None
    own: dict[str, Any] | None
    unseen: list[str]

    @property
    def share(self) -> float:
        return self.used_mb / self.limit_mb

    @property
    def level(self) -> Level:
        return level(self.share)

    @property
    def advice(self) -> list[str]:
        workers = sum(process.role == "worker" for process in self.processes)
        model = str(self.own["model"].get("name")) if self.own else None
        return [ADVICE[name] for name in memory_advice(self.level, workers, model)]

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON, with the app's own figures at the top level."""
        return {
            "of": self.of,
            "used_mb": round(self.used_mb, 1),
            "limit_mb": round(self.limit_mb, 1),
            "share": round(self.share, 3),
            "level": self.level,
            "verdict": VERDICTS[self.level],
            "advice": self.advice,
            "counted_by": self.counted_by,
            "processes": [asdict(process) for process in self.processes],
            "group": self.group,
            "unseen": self.unseen,
        } | {name: (self.own or {}).get(name) for name in ("parts", "model", "index", "caches", "pool", "guard")}


def of_running(site: Running, limit_mb: float | None = None) -> MemoryReport:
    """Return the report on local processes, with the app's own figures if available."""
    processes, unseen = figures_of(site.processes), list(site.remarks)
    own = own_figures(site, unseen)
    group = group_memory(process=site.processes[0].pid)
    unseen += hidden_figures(processes)
    used_mb, counted_by = counted(processes, group)
    group_mb = group.limit / MB if group and group.limit else None
    limit_mb = limit_mb or (own["limit_mb"] if own else None) or group_mb or DEFAULT_LIMIT_MB
    name = f"server {site.processes[0].pid}" + (f" at {site.address}" if site.address else "")
    return MemoryReport(name, used_mb, limit_mb, counted_by, processes, of_group(group), own, unseen)


def of_address(address: str, limit_mb: float | None = None) -> MemoryReport:
    """Return the report on a remote site, from its own figures; raises NotAnswered.

    Only METRICS_TOKEN is sent there, from the environment; without it, a site tells less.
    """
    values = figures_at(address, token=os.environ.get("METRICS_TOKEN", ""))
    try:
        own = checked_figures(values)
        processes = [process_from(process) for process in own["processes"]]
        group = {name: optional_number(own["group"].get(name)) for name in GROUP} if own["group"] else None
        limit_mb = limit_mb or own["limit_mb"]
        unseen = [] if "worker" in own else ["processes, index and caches: set METRICS_TOKEN to that of the site"]
        return MemoryReport(address, own["used_mb"], limit_mb, str(own["source"]), processes, group, own, unseen)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAnswered(f"{address} answered JSON that is not this site's: {error!r}") from error


def own_figures(site: Running, unseen: list[str]) -> dict[str, Any] | None:
    """Return the app's own figures; if unavailable, the reason is appended to `unseen`."""
    if site.address is None:
        unseen.append("the app's own figures: its address is unknown")
        return None
    try:
        is_here = urlsplit(site.address).hostname in LOCAL_HOSTS
        own = checked_figures(figures_at(site.address, token=own_token() if is_here else ""))
    except NotAnswered as error:
        unseen.append(f"the app itself: {error}")
        return None
    except (KeyError, TypeError, ValueError, AttributeError):
        unseen.append(f"the app itself: what {site.address} answers is not this site's")
        return None
    if "worker" in own and own["worker"] not in {process.pid for process in site.processes}:
        unseen.append(f"the app itself: {site.address} is answered by another server")
        return None
    return own


def own_token() -> str:
    """Return what lets this site's operator see all of its figures: from the environment, or the instance folder."""
    for name in TOKEN_SETTINGS:
        if os.environ.get(name):
            return os.environ[name]
    try:
        return (instance_folder(ROOT) / "admin_token").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def checked_figures(values: dict[str, Any]) -> dict[str, Any]:
    """Return the figures if they have the expected shape; raises KeyError, TypeError, ValueError or AttributeError."""
    parts = {str(name): finite_number(value) for name, value in values["parts"].items()}
    values = UNTOLD | values
    names = ("used_mb", "limit_mb", "worker") if "worker" in values else ("used_mb", "limit_mb")
    numbers = {name: finite_number(values[name]) for name in names}
    if numbers["limit_mb"] <= 0:
        raise ValueError("the limit is zero")
    if not all(isinstance(values[name], dict) for name in ("model", "index", "caches", "pool", "guard")):
        raise TypeError("parts have another shape")
    return {**values, **numbers, "parts": parts}


def finite_number(value: object) -> float:
    """Return a finite, non-negative number; raises ValueError or TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{value!r} is out of range")
    return float(value)


def optional_number(value: object) -> float | None:
    return None if value is None else finite_number(value)


def process_from(values: dict[str, Any]) -> ProcessFigures:
    figures = (optional_number(values[f"{kind}_mb"]) for kind in ("rss", "pss", "uss", "anonymous"))
    return ProcessFigures(int(finite_number(values["pid"])), str(values["role"]), *figures)


def hidden_figures(processes: Sequence[ProcessFigures]) -> list[str]:
    """Return a remark on the figures that the system hides."""
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


def figures_at(base: str, wait_s: float = WAIT_S, token: str = "") -> dict[str, Any]:
    """Fetch the figures of the site at an address; raises NotAnswered after at most `wait_s` seconds.

    Runs in a thread, since a server that sends a byte now and then never triggers the socket's timeout.
    """
    answers: list[dict[str, Any] | NotAnswered] = []
    try:
        address = figures_url(base)
    except ValueError as error:
        raise NotAnswered(f"{base} is not an address: {error}") from error
    request = threading.Thread(target=lambda: answers.append(_fetch(address, wait_s, token)), daemon=True)
    request.start()
    request.join(wait_s)
    answer = answers[0] if answers else NotAnswered(f"{address} did not answer within {wait_s:g} s")
    if isinstance(answer, NotAnswered):
        raise answer
    return answer


def figures_url(base: str) -> str:
    """Return the URL of the figures for a site's address."""
    if "://" not in base:
        base = f"http{'' if urlsplit('//' + base).hostname in LOCAL_HOSTS else 's'}://{base}"
    return base if urlsplit(base).path.endswith(FIGURES_PATH) else base.rstrip("/") + FIGURES_PATH


def _fetch(address: str, wait_s: float, token: str) -> dict[str, Any] | NotAnswered:
    if urlsplit(address).scheme not in ("http", "https"):
        return NotAnswered(f"{address} is not an http or https address")
    # Local addresses bypass any proxy.
    proxies = [urllib.request.ProxyHandler({})] if urlsplit(address).hostname in LOCAL_HOSTS else []
    try:
        # The thread's limit comes first.
        request = urllib.request.Request(address)  # noqa: S310 - http or https, as was checked
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with urllib.request.build_opener(*proxies).open(request, timeout=2 * wait_s) as response:
            kind, body = response.headers.get_content_type(), response.read(MOST_BYTES)
        figures = json.loads(body)
    except urllib.error.HTTPError as error:
        with error:
            return NotAnswered(f"{address} answered {error.code}")
    except urllib.error.URLError as error:
        return NotAnswered(f"{address} cannot be reached: {error.reason}")
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return NotAnswered(f"{address} answered {kind}, not figures: is it this site?")
    except (OSError, ValueError, HTTPException) as error:  # an invalid address, or not HTTP
        return NotAnswered(f"{address} cannot be reached: {error!r}")
    return figures if isinstance(figures, dict) else NotAnswered(f"{address} answered JSON that is not this site's")
