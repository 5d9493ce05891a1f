"""A model folder as one reproducible archive, NAME.tar.gz, for hosts to fetch."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

from encoders.manifest import file_checksum, read_manifest


def write_archive(folder: Path) -> tuple[Path, str]:
    """Write NAME.tar.gz beside a model folder; return its path and sha256. Raises ModelUnusable if incomplete."""
    read_manifest(folder, checksums=True)
    path = folder.with_name(f"{folder.name}.tar.gz")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # 8-bit weights hardly shrink (143 MB to 125 MB), and a higher level than 1 gains nothing.
        with unfinished.open("wb") as file, gzip.GzipFile("", "wb", 1, file, mtime=0) as packed:
            _write(folder, packed)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path, file_checksum(path)


def _write(folder: Path, packed: gzip.GzipFile) -> None:
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.iterdir()):
            member = tarfile.TarInfo(f"{folder.name}/{path.name}")
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)
