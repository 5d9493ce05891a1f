"""The memory of this process: how much it holds, and how it is handed back."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

from encoders.manifest import Manifest

LIBRARY_MB, WEIGHTS_FACTOR = 20.0, 1.3
MADV_DONTNEED = 4  # from the system's mman.h
_pointer, _size = ctypes.c_void_p, ctypes.c_size_t


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
    """Hand back memory that nothing holds any more, objects in cycles and idle code included."""
    gc.collect()
    trim_memory()
    release_code("onnxruntime")


def release_code(library: str) -> int:
    """Let go of the pages of a library's code, and return their bytes; they come back from the file when they are run.

    onnxruntime's are 10 to 20 MB of a process's resident memory, which some hosts count, long after it was last used.
    Only executable pages that cannot be written are let go of: of others the process may have copies of its own.
    """
    try:
        madvise = ctypes.CDLL(None).madvise
        ranges = _code_of(library)
    except (AttributeError, OSError, TypeError):  # no /proc, no such call: a Mac, Windows
        return 0
    released = [
        end - start for start, end in ranges if madvise(_pointer(start), _size(end - start), MADV_DONTNEED) == 0
    ]
    return sum(released)


def _code_of(library: str) -> list[tuple[int, int]]:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line.split(maxsplit=5) for line in lines if " r-xp " in line]
    spans = [fields[0].split("-") for fields in found if len(fields) > 5 and library in Path(fields[5]).name]
    return [(int(start, 16), int(end, 16)) for start, end in spans]
