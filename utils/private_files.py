"""Files of one user: the rights of what exists already follow the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

BESIDE_A_DATABASE = ("", "-wal", "-shm", "-journal")


def database_files(path: str) -> list[Path]:
    """Return the files that SQLite keeps for a database."""
    return [Path(path + suffix) for suffix in BESIDE_A_DATABASE]


def tighten(paths: Iterable[Path], umask: int) -> None:
    """Take the umask's rights from files and folders; none are added.

    What belongs to another user, is shared as /tmp is, or is on a read-only disk stays as it is.
    """
    for path in paths:
        with suppress(OSError):
            status = path.lstat()
            is_shared = bool(status.st_mode & stat.S_ISVTX) or path == path.parent
            if status.st_mode & umask and not is_shared and status.st_uid == os.geteuid() and not path.is_symlink():
                path.chmod(stat.S_IMODE(status.st_mode) & ~umask)
