"""A share of a processor for a server, as a small host has it: a control group with a quota, which root may make."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD_US = 100_000
WEIGHT_V1, WEIGHT_V2 = 32_768, 3_200  # of any other process or group: 1,024, 100


def can_limit() -> bool:
    return os.geteuid() == 0 and ((V1 / "cpu.shares").exists() or "cpu" in _controllers())


def _controllers() -> list[str]:
    found = V2 / "cgroup.subtree_control"
    return found.read_text().split() if found.exists() else []


@contextmanager
def limited_to(share: float | None, processes: Iterable[int]) -> Iterator[None]:
    """Hold processes that run already, together, to a share of one processor, or to none, for a while.

    That share is theirs before all else that this machine does: a host's processors are not its neighbours'.
    """
    top = V1 if (V1 / "cpu.shares").exists() else V2
    members = list(processes)
    group = top / f"share-{members[0]}"
    group.mkdir()
    quota = "-1" if share is None else str(int(share * PERIOD_US))
    try:
        if top == V1:
            (group / "cpu.shares").write_text(str(WEIGHT_V1))
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(quota)
        else:
            (group / "cpu.weight").write_text(str(WEIGHT_V2))
            (group / "cpu.max").write_text(f"{'max' if share is None else quota} {PERIOD_US}")
        _join(group, members)
        yield
    finally:
        left = (group / "cgroup.procs").read_text().split()
        _join(top, map(int, left))
        group.rmdir()


def _join(group: Path, processes: Iterable[int]) -> None:
    for one in processes:
        with suppress(ProcessLookupError):
            (group / "cgroup.procs").write_text(str(one))
