"""Memory as a host counts it: that of the control group (v1 and v2), and that of a process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

MB = 1_048_576
ABSURD = 1 << 40  # a control group without a limit reports one above a terabyte
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """Bytes charged to the control group, without the page cache that no process has mapped, and its limit.

    Such cache is taken back before anything is killed, that which was read twice ("active") included: a database
    that is read often would else seem to fill the group.

    `anonymous` is what no file backs: nothing but swapping or killing takes it back. `mapped` are the pages of files,
    programs and libraries included, that are in use; `used` has them.
    """

    used: int
    limit: int | None
    anonymous: int = 0
    mapped: int = 0


def group_memory(root: Path = Path("/"), process: int | str = "self") -> GroupMemory | None:
    """Return the figures of a process's control group; None if the system has none."""
    group = own_group(root, process)
    for limit_file, used_file, names in (
        ("memory.max", "memory.current", ("inactive_file", "active_file", "file_mapped", "anon")),
        (
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            ("total_inactive_file", "total_active_file", "total_mapped_file", "total_rss"),
        ),
    ):
        used = number_in(group / used_file)
        if used is None:
            continue
        stat = dict(re.findall(r"^(\w+) (\d+)$", read_file(group / "memory.stat"), re.MULTILINE))
        inactive, active, mapped, anonymous = (int(stat.get(name, 0)) for name in names)
        limit = number_in(group / limit_file)
        used = max(used - max(inactive + active - mapped, 0), 0)
        return GroupMemory(used, limit if limit and limit < ABSURD else None, anonymous, mapped)
    return None


def own_group(root: Path, process: int | str = "self") -> Path:
    """Return the folder of a process's control group; inside a container that is the root."""
    for line in read_file(root / f"proc/{process}/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        top = V2 if number == "0" and not controllers else V1 if "memory" in controllers.split(",") else None
        if top is None:
            continue
        folder = root / top.relative_to("/") / path.lstrip("/")
        for candidate in (folder, root / top.relative_to("/")):
            if (candidate / "memory.stat").exists() and number_in(candidate / usage_file(top)) is not None:
                return candidate
    return root / V2.relative_to("/")


def usage_file(top: Path) -> str:
    return "memory.current" if top == V2 else "memory.usage_in_bytes"


def read_file(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def number_in(path: Path) -> int | None:
    content = read_file(path).strip()
    return int(content) if content.isdigit() else None


class MappedFile(Protocol):
    """Something that maps a file of so many bytes."""

    @property
    def nbytes(self) -> int: ...


MAPPED_FILES: WeakSet[MappedFile] = WeakSet()


def mapped_file_bytes() -> int:
    """Return the bytes of the mapped files of this process that need not stay: the system takes their pages back."""
    return sum(file.nbytes for file in list(MAPPED_FILES))


# Parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def keep_heap_small(arenas: int = 1, large_bytes: int = 524_288) -> bool:
    """Ask the C library for one heap, and for large pieces straight from the system; True where it listens.

    By itself glibc gives each thread a heap of its own and raises the size from which pieces are handed back to 32 MB:
    four threads that each once held 15 MB then hold them for good. A second heap took 8 MB more under load, nearly all
    of it free, and no time less: Python's threads take turns. For the whole process, before its threads start.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    wanted = ((M_ARENA_MAX, arenas), (M_MMAP_THRESHOLD, large_bytes), (M_TRIM_THRESHOLD, large_bytes))
    accepted = [mallopt(name, value) == 1 for name, value in wanted]  # a list: set every value even if one fails
    return all(accepted)


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Bytes of one process: resident, proportional (PSS), private (USS), and not backed by a file."""

    pid: int
    rss: int
    pss: int
    uss: int
    anonymous: int


def process_memory(pid: int) -> ProcessMemory | None:
    """Return a process's memory from /proc; None if it is gone, another user's, or there is no /proc."""
    rows = re.findall(r"^(\w+):\s+(\d+) kB", read_file(Path(f"/proc/{pid}/smaps_rollup")), re.MULTILINE)
    sizes = {name: int(kilobytes) * 1024 for name, kilobytes in rows}
    if "Rss" not in sizes:
        return None
    own = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return ProcessMemory(pid, sizes["Rss"], sizes["Pss"], own, sizes["Anonymous"])
