"""The processes that serve the site, gunicorn's master and its workers, and what each holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.memory import MB, process_memory

if TYPE_CHECKING:
    import psutil
import os
from collections.abc import Iterator
from pathlib import Path

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
        return round(float(process.memory_full_info().uss) / MB, 1)
    except psutil.AccessDenied:
        return None


PID_FILE = "gunicorn.pid"
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - what a server listens on, asked from this machine


class NotRunning(Exception):
    """No running site was found; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class Running:
    """The site's processes, the master first; where it listens, if that can be seen; what is odd about it."""

    processes: list[psutil.Process]
    address: str | None
    remarks: tuple[str, ...] = ()


def running(instance: Path) -> Running:
    """Return the site whose instance folder this is; raises NotRunning."""
    pid, address, remarks = pid_file(instance)
    if pid is not None:
        return Running(family(psutil.Process(pid)), address, remarks)
    masters = [one for one in psutil.process_iter() if is_master(one) and belongs(one, instance)]
    if not masters:
        raise NotRunning("; ".join((*remarks, "no process runs gunicorn with app:app for this instance folder")))
    if len(masters) > 1:
        others = ", ".join(str(one.pid) for one in masters[1:])
        remarks += (f"more than one server runs: this is {masters[0].pid}, choose another with --pid ({others})",)
    processes = family(masters[0])
    return Running(processes, listening(processes), remarks)


def pid_file(instance: Path) -> tuple[int | None, str | None, tuple[str, ...]]:
    """Return the number and address in the pid file, if its process is a server; else why it is not believed."""
    path = instance / PID_FILE
    try:
        number, _, address = path.read_text(encoding="utf-8").strip().partition("\n")
        if is_server(psutil.Process(int(number))):
            return int(number), address.strip() or None, ()
    except FileNotFoundError:
        return None, None, ()
    except PermissionError:
        return None, None, (f"{path} may not be read",)
    except (ValueError, OverflowError, OSError, psutil.Error):
        pass
    return None, None, (f"{path} is left over: its process is not a running server",)


def numbered(pid: int) -> Running:
    """Return the site that a process belongs to; raises NotRunning for one that is gone, or something else."""
    try:
        processes = family(psutil.Process(pid))
        command = processes[0].cmdline()
    except (psutil.Error, ValueError, OverflowError) as error:
        raise NotRunning(f"there is no process {pid} to be seen") from error
    if not is_server(processes[0]) and not any("flask" in word for word in command[:3]):
        raise NotRunning(f"process {pid} is not the site's server: it runs {' '.join(command)[:80] or 'nothing'}")
    return Running(processes, listening(processes))


def is_master(process: psutil.Process) -> bool:
    """Tell whether a process is gunicorn's own, with this site's app, and not a worker of another."""
    try:
        named = any("app:app" in word for word in process.cmdline())
        parent = process.parent() if named and is_server(process) else None
        return named and is_server(process) and not (parent and is_server(parent))
    except psutil.Error:
        return False


def belongs(process: psutil.Process, instance: Path) -> bool:
    """Tell whether a server's instance folder is this one; another user's process is believed to."""
    try:
        given = process.environ().get("INSTANCE_DIR") or "instance"
        return (Path(process.cwd()) / given).resolve() == instance.resolve()
    except (psutil.Error, OSError):
        return True


def listening(processes: list[psutil.Process]) -> str | None:
    """Return where the first of the processes listens; None where that cannot be seen."""
    return next(addresses(processes), None)


def addresses(processes: list[psutil.Process]) -> Iterator[str]:
    for process in processes:
        try:
            sockets = process.net_connections("tcp")
        except (psutil.Error, OSError):
            continue
        for one in sockets:
            if one.status == psutil.CONN_LISTEN:
                yield f"http://{spelled(one.laddr.ip)}:{one.laddr.port}"


def spelled(host: str) -> str:
    """Return a host as an address has it; the one that stands for all is asked at this machine's own."""
    if host in EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def instance_folder(root: Path) -> Path:
    """Return where the site keeps its files, as its configuration has it."""
    return Path(os.environ.get("INSTANCE_DIR") or root / "instance")
