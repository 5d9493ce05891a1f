"""The memory that a host counts, from folders laid out as the kernel lays them out."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from operations.memory import memory
from utils.memory import MB, GroupMemory, group_memory, keep_heap_small, process_memory

V2_FILES = {"memory.max": "536870912\n", "memory.current": "300000000\n"}
V1_FILES = {"memory.limit_in_bytes": "536870912\n", "memory.usage_in_bytes": "300000000\n"}


def laid_out(root: Path, cgroup: str, folder: str, files: dict[str, str], stat: str) -> Path:
    """Make a root with one control group in it."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    group = root / folder
    group.mkdir(parents=True)
    for name, content in (files | {"memory.stat": stat}).items():
        (group / name).write_text(content)
    return root


def test_the_second_version_leaves_out_the_page_cache(tmp_path: Path) -> None:
    root = laid_out(tmp_path, "0::/app\n", "sys/fs/cgroup/app", V2_FILES, "anon 5\ninactive_file 100000000\n")
    assert group_memory(root) == GroupMemory(200_000_000, 512 * MB, 5)


def test_the_first_version_too(tmp_path: Path) -> None:
    cgroup = "12:cpu,cpuacct:/x\n3:memory:/app\n"
    stat = "rss 3\ninactive_file 7\ntotal_rss 9\ntotal_inactive_file 100000000\n"
    root = laid_out(tmp_path, cgroup, "sys/fs/cgroup/memory/app", V1_FILES, stat)
    assert group_memory(root) == GroupMemory(200_000_000, 512 * MB, 9)


def test_cache_that_was_read_twice_is_left_out_too_and_what_is_mapped_counts(tmp_path: Path) -> None:
    stat = "anon 5\nfile_mapped 30000000\ninactive_file 100000000\nactive_file 80000000\n"
    root = laid_out(tmp_path, "0::/app\n", "sys/fs/cgroup/app", V2_FILES, stat)
    assert group_memory(root) == GroupMemory(150_000_000, 512 * MB, 5, 30_000_000)


def test_pages_of_the_mapped_index_are_not_counted_but_other_mapped_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    group = GroupMemory(300 * MB, 512 * MB, 100 * MB, 150 * MB)
    monkeypatch.setattr("operations.memory.group_memory", lambda: group)
    for index, used in ((0, 300), (120, 180), (400, 150)):
        monkeypatch.setattr("operations.memory.mapped_file_bytes", lambda index=index: index * MB)
        assert memory(None, []).used_mb == used


def test_another_process_has_the_figures_of_its_own_group(tmp_path: Path) -> None:
    root = laid_out(tmp_path, "0::/mine\n", "sys/fs/cgroup/app", V2_FILES, "inactive_file 0\n")
    (root / "proc/77").mkdir()
    (root / "proc/77/cgroup").write_text("0::/app\n")
    assert group_memory(root, 77) == GroupMemory(300_000_000, 512 * MB)
    assert group_memory(root) is None


def test_inside_a_container_the_group_is_the_top_one(tmp_path: Path) -> None:
    root = laid_out(tmp_path, "0::/elsewhere\n", "sys/fs/cgroup", V2_FILES, "inactive_file 0\n")
    assert group_memory(root) == GroupMemory(300_000_000, 512 * MB)


@pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n"])
def test_no_limit_is_no_limit(tmp_path: Path, limit: str) -> None:
    files = V2_FILES | {"memory.max": limit}
    root = laid_out(tmp_path, "0::/app\n", "sys/fs/cgroup/app", files, "inactive_file 0\n")
    assert group_memory(root) == GroupMemory(300_000_000, None)


def test_more_page_cache_than_use_is_nothing_used(tmp_path: Path) -> None:
    root = laid_out(tmp_path, "0::/\n", "sys/fs/cgroup", V2_FILES, "inactive_file 400000000\n")
    assert group_memory(root) == GroupMemory(0, 512 * MB)


def test_a_system_without_control_groups_has_no_figures(tmp_path: Path) -> None:
    assert group_memory(tmp_path) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has smaps_rollup")
def test_this_process_has_figures_that_fit_together() -> None:
    found = process_memory(os.getpid())
    assert found is not None
    assert found.pid == os.getpid()
    assert 0 < found.uss <= found.pss <= found.rss
    assert 5 * MB < found.anonymous <= found.rss


def test_a_process_that_is_gone_has_none() -> None:
    assert process_memory(2**22 + 1) is None


def test_the_c_library_takes_the_wish_for_a_small_heap() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("only glibc has mallopt")
    assert keep_heap_small()
