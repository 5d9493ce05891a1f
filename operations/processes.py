"""The processes that serve the site, gunicorn's master and workers, and the memory of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from utils.memory import MB, process_memory

PID_FILE = "gunicorn.pid"
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - bind addresses, reached from this machine


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """Megabytes of one process; None if the system does not tell, or only the owner may know.

    PSS counts a shared page proportionally, USS only private pages, anonymous what no file backs.
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
        """Return the best estimate of the process's share of the total."""
        return self.pss_mb or self.uss_mb or self.rss_mb or 0.0


def own_family() -> list[ProcessFigures]:
    """Return the figures of this process's server, master first."""
    return figures_of(process_family(psutil.Process()))


def process_family(member: psutil.Process) -> list[psutil.Process]:
    """Return the master and all its workers, given any of them; a process without a server is returned alone."""
    try:
        parent = member.parent()
        head = parent if parent is not None and is_server(parent) and is_server(member) else member
        return [head, *head.children(recursive=True)] if is_server(head) else [head]
    except psutil.Error:
        return [member]


def is_server(process: psutil.Process) -> bool:
    """Whether a process is gunicorn's, by its command; a process that started it may mention gunicorn too."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    # `gunicorn …`, a Python script, `python -m gunicorn`, and `gunicorn: worker [app]`.
    return any(word.rpartition("/")[2].startswith("gunicorn") for word in words[:3])


def figures_of(processes: list[psutil.Process]) -> list[ProcessFigures]:
    """Return the figures of a server's processes, master first; those that are gone are left out."""
    roles = ["master" if len(processes) > 1 else "alone", *["worker"] * (len(processes) - 1)]
    return [figures for figures in map(process_figures, processes, roles) if figures is not None]


def process_figures(process: psutil.Process, role: str) -> ProcessFigures | None:
    """Return what is known of a process; None if it is gone."""
    whole = process_memory(process.pid)
    if whole is not None:
        values = (whole.rss, whole.pss, whole.uss, whole.anonymous)
        return ProcessFigures(process.pid, role, *(round(value / MB, 1) for value in values))
    try:
        rss = process.memory_info().rss
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return ProcessFigures(process.pid, role, None)
    try:  # macOS, which tells the USS of the user's own processes only
        uss = round(process.memory_full_info().uss / MB, 1)
    except psutil.Error:
        uss = None
    return ProcessFigures(process.pid, role, round(rss / MB, 1), uss_mb=uss)


class NotRunning(Exception):
    """No running site was found; the message says where it was searched for."""


@dataclass(frozen=True, slots=True)
class Running:
    """The site's processes, master first; its address, if known; remarks on anything odd."""

    processes: list[psutil.Process]
    address: str | None
    remarks: tuple[str, ...] = ()


def running(instance: Path) -> Running:
    """Return the site with this instance folder; raises NotRunning."""
    pid, address, remarks = pid_file(instance)
    if pid is not None:
        return Running(process_family(psutil.Process(pid)), address, remarks)
    masters = [process for process in psutil.process_iter() if is_master(process) and belongs(process, instance)]
    if not masters:
        raise NotRunning("; ".join((*remarks, "no process runs gunicorn with app:app for this instance folder")))
    if len(masters) > 1:
        others = ", ".join(str(process.pid) for process in masters[1:])
        remarks += (f"more than one server runs: this is {masters[0].pid}, choose another with --pid ({others})",)
    processes = process_family(masters[0])
    return Running(processes, listening_address(processes), remarks)


def pid_file(instance: Path) -> tuple[int | None, str | None, tuple[str, ...]]:
    """Return the pid and address in the pid file if the process is a server, else the reason it is ignored."""
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


def site_of_process(pid: int) -> Running:
    """Return the site that a process belongs to; raises NotRunning if it is gone or not a site."""
    try:
        processes = process_family(psutil.Process(pid))
        command = processes[0].cmdline()
    except (psutil.Error, ValueError, OverflowError) as error:
        raise NotRunning(f"there is no process {pid} to be seen") from error
    if not is_server(processes[0]) and not any("flask" in word for word in command[:3]):
        raise NotRunning(f"process {pid} is not the site's server: it runs {' '.join(command)[:80] or 'nothing'}")
    return Running(processes, listening_address(processes))


def is_master(process: psutil.Process) -> bool:
    """Whether a process is the gunicorn master of this app, not a worker."""
    try:
        named = any("app:app" in word for word in process.cmdline())
        parent = process.parent() if named and is_server(process) else None
        return named and is_server(process) and not (parent and is_server(parent))
    except psutil.Error:
        return False


def belongs(process: psutil.Process, instance: Path) -> bool:
    """Whether a server uses this instance folder; True if it cannot be read, as for another user's process."""
    try:
        given = process.environ().get("INSTANCE_DIR") or "instance"
        return (Path(process.cwd()) / given).resolve() == instance.resolve()
    except (psutil.Error, OSError):
        return True


def listening_address(processes: list[psutil.Process]) -> str | None:
    """Return the address that the processes listen on; None if unknown."""
    for process in processes:
        try:
            sockets = process.net_connections("tcp")
        except (psutil.Error, OSError):
            continue
        for socket in sockets:
            if socket.status == psutil.CONN_LISTEN:
                return f"http://{url_host(socket.laddr.ip)}:{socket.laddr.port}"
    return None


def url_host(host: str) -> str:
    """Return a host as written in a URL; a wildcard address becomes 127.0.0.1."""
    if host in EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def instance_folder(root: Path) -> Path:
    """Return the configured instance folder."""
    return Path(os.environ.get("INSTANCE_DIR") or root / "instance")
