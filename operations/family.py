"""The processes that serve the site, gunicorn's master and its workers, and what each holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.memory import MB, process_memory

if TYPE_CHECKING:
    import psutil


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """Megabytes of one process; None for what the system does not tell, or tells its owner only.

    PSS counts a shared page by its share, USS only what nobody else holds, anonymous what no file backs.
    """

    pid: int
    role: str  # master, worker or alone
    rss_mb: float | None
    pss_mb: float | None = None
    uss_mb: float | None = None
    anonymous_mb: float | None = None

    @property
    def kinds(self) -> dict[str, float | None]:
        return {"rss": self.rss_mb, "pss": self.pss_mb, "uss": self.uss_mb, "anonymous": self.anonymous_mb}

    @property
    def counted_mb(self) -> float:
        """Return what it adds to the whole, as nearly as can be told."""
        return self.pss_mb or self.uss_mb or self.rss_mb or 0.0


def own_family() -> list[ProcessFigures]:
    """Return the figures of the server that this process belongs to, the master first."""
    import psutil

    return figures_of(family(psutil.Process()))


def family(member: psutil.Process) -> list[psutil.Process]:
    """Return the master and all its workers, given any of them; a process without a server is alone."""
    import psutil

    try:
        parent = member.parent()
        head = parent if parent is not None and is_server(parent) and is_server(member) else member
        return [head, *head.children(recursive=True)] if is_server(head) else [head]
    except psutil.Error:
        return [member]


def is_server(process: psutil.Process) -> bool:
    """Tell by its command whether a process is one of gunicorn's: what started it may name gunicorn as well."""
    import psutil

    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    # As `gunicorn …`, as a script of Python, as `python -m gunicorn`, and as `gunicorn: worker [app]`.
    return any(word.rpartition("/")[2].startswith("gunicorn") for word in words[:3])


def figures_of(processes: list[psutil.Process]) -> list[ProcessFigures]:
    roles = ["master" if len(processes) > 1 else "alone", *["worker"] * (len(processes) - 1)]
    found = [figures(process, role) for process, role in zip(processes, roles, strict=True)]
    return [one for one in found if one is not None]


def figures(process: psutil.Process, role: str) -> ProcessFigures | None:
    """Return what can be seen of a process; None for one that is gone."""
    import psutil

    whole = process_memory(process.pid)
    if whole is not None:
        values = (whole.rss, whole.pss, whole.uss, whole.anonymous)
        return ProcessFigures(process.pid, role, *(round(value / MB, 1) for value in values))
    try:
        return ProcessFigures(process.pid, role, round(process.memory_info().rss / MB, 1), uss_mb=uss_mb(process))
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return ProcessFigures(process.pid, role, None)


def uss_mb(process: psutil.Process) -> float | None:
    """Return what a Mac tells of its own user's processes, and of nobody else's."""
    import psutil

    try:
        return round(process.memory_full_info().uss / MB, 1)
    except psutil.AccessDenied:
        return None
