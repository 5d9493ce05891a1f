"""The memory of this process: how much it uses, and how to return it to the system."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

from encoders.manifest import Manifest

LIBRARY_MB, WEIGHTS_FACTOR = 20.0, 1.3
MADV_DONTNEED = 4  # from mman.h
_pointer, _size = ctypes.c_void_p, ctypes.c_size_t


def rss_bytes() -> int:
    """Return the resident memory of this process in bytes."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: macOS
        import psutil

        return int(psutil.Process().memory_info().rss)


def loading_mb(manifest: Manifest) -> float:
    """Estimate the megabytes that loading a model takes, from the size of its weights.

    Measured: 48 MB for weights of 24 MB, 135 for 91; the word table and the tokenizer stay on the disk.
    """
    return LIBRARY_MB + WEIGHTS_FACTOR * manifest.sizes.get("weights.bin", 0) / 2**20


def trim_memory() -> None:
    """Return freed memory to the system, in 1 to 5 ms: by itself glibc keeps nearly all of it."""
    with suppress(AttributeError, OSError, TypeError):  # musl, macOS, Windows: no malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def release_memory() -> None:
    """Return unused memory to the system, including reference cycles and idle library code."""
    gc.collect()
    trim_memory()
    release_code("onnxruntime")


def release_code(library: str) -> int:
    """Drop the pages of a library's code, and return their bytes; they are read again from the file when run.

    onnxruntime's are 10 to 20 MB of a process's resident memory, which some hosts count, long after it was last used.
    Only executable pages that cannot be written are let go of: of others the process may have copies of its own.
    """
    try:
        madvise = ctypes.CDLL(None).madvise
        ranges = _code_of(library)
    except (AttributeError, OSError, TypeError):  # no /proc or madvise: macOS, Windows
        return 0
    released = [
        end - start for start, end in ranges if madvise(_pointer(start), _size(end - start), MADV_DONTNEED) == 0
    ]
    return sum(released)


def _code_of(library: str) -> list[tuple[int, int]]:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    mappings = [line.split(maxsplit=5) for line in lines if " r-xp " in line]
    spans = [fields[0].split("-") for fields in mappings if len(fields) > 5 and library in Path(fields[5]).name]
    return [(int(start, 16), int(end, 16)) for start, end in spans]
