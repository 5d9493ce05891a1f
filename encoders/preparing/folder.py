"""Makes a model folder atomically: in a temporary folder beside it, renamed when complete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from encoders.manifest import FILE_NAME, FORMAT, Manifest, ModelUnusable, file_checksum, read_manifest

PART_NAME = f"{FILE_NAME}.part"


class NotPrepared(Exception):
    """A model folder could not be made; the message says why."""


def is_complete(folder: Path, values: dict[str, Any]) -> bool:
    """Tell whether the folder has a manifest with these values and every file has its checksum."""
    try:
        manifest = read_manifest(folder, checksums=True)
    except ModelUnusable:
        return False
    return all(getattr(manifest, name) == value for name, value in values.items())


def make_folder(folder: Path, free_bytes: int, fill: Callable[[Path], None]) -> None:
    """Call `fill` with a temporary folder, and replace `folder` with it. Raises NotPrepared.

    `free_bytes` is the disk space that it takes. An exception leaves `folder` unchanged.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        free = shutil.disk_usage(folder.parent).free
        if free < free_bytes:
            raise NotPrepared(
                f"{folder.parent} has {free // 2**20} MB free and making {folder.name} takes "
                f"{free_bytes // 2**20} MB; free some disk space and run this again"
            )
        prefix = f"{_mark(folder)}{os.getpid()}-"
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            fill(new)
            _make_readable(new)
            _swap(new, folder, Path(temporary) / "old")
    except OSError as error:
        raise NotPrepared(f"{folder} could not be written ({error})") from error


def write_manifest(folder: Path, values: dict[str, Any], beside: tuple[str, ...] = ()) -> None:
    """Write manifest.json with the size and sha256 of every file in the folder, and the model's checksum.

    Two folders with the same checksum give the same embeddings, up to rounding. Files in `beside` do not count: figures
    measured on this machine, whose last bits differ on another.
    """
    paths = sorted(path for path in folder.iterdir() if path.name not in (FILE_NAME, PART_NAME))
    files = {path.name: file_checksum(path) for path in paths}
    deciding = {
        "files": {name: checksum for name, checksum in files.items() if name not in beside},
        "settings": [values.get(key) for key in ("query_prefix", "passage_prefix", "pooling", "max_tokens")],
    }
    manifest = values | {
        "files": files,
        "sizes": {path.name: path.stat().st_size for path in paths},
        "checksum": hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest(),
        "format": FORMAT,
    }
    Manifest(**manifest)  # raises here, and not on the host, for a missing or unknown key
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    # Atomically: a site may be reading it.
    (folder / PART_NAME).write_text(text + "\n", encoding="utf-8")
    (folder / PART_NAME).replace(folder / FILE_NAME)


def _mark(folder: Path) -> str:
    return f".{folder.name}-of-"


def _sweep(folder: Path) -> None:
    """Remove the temporary folders of processes that were killed."""
    for path in folder.parent.glob(f"{_mark(folder)}*"):
        process = path.name.removeprefix(_mark(folder)).split("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True


def _make_readable(folder: Path) -> None:
    # Some libraries write files that only their owner may read, and the site often runs as another user.
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)


def _swap(new: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
