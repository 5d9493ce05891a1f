"""The memory of this process: how much it holds, and how it is handed back."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

from encoders.manifest import Manifest

LIBRARY_MB, WEIGHTS_FACTOR = 20.0, 1.3


def rss_bytes() -> int:
    """Return the resident memory of this process."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: a Mac
        import psutil

        return int(psutil.Process().memory_info().rss)


def loading_mb(manifest: Manifest) -> float:
    """Return about how many megabytes a model takes once it is loaded, from the size of its weights.

    Measured: 48 MB for weights of 24 MB, 135 for 91; the word table and the tokenizer stay on the disk.
    """
    return LIBRARY_MB + WEIGHTS_FACTOR * manifest.sizes.get("weights.bin", 0) / 2**20


def trim_memory() -> None:
    """Hand freed memory back to the system, in 1 to 5 ms: by itself glibc keeps nearly all of it."""
    with suppress(AttributeError, OSError, TypeError):  # musl, a Mac, Windows: they have no such call
        ctypes.CDLL(None).malloc_trim(0)


def release_memory() -> None:
    """Hand back memory that nothing holds any more, objects in cycles included."""
    gc.collect()
    trim_memory()
