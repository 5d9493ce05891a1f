"""This process's memory, as a model's coming and going is measured by it."""

from __future__ import annotations

import ctypes
import gc
import os


def rss_bytes() -> int:
    """Return the resident memory of this process."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: a Mac
        import psutil  # type: ignore[import-untyped]

        return int(psutil.Process().memory_info().rss)


def release_memory() -> None:
    """Hand freed memory back to the system: without malloc_trim glibc keeps nearly all of it."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # musl, a Mac, Windows: their allocators have no such call
        pass
