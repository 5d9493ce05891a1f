"""Opens zip archives and folders from anywhere, within limits that no honest one meets."""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from indexing.rows import FileUnusable, RowRefused

MOST_ENTRIES = 50_000
MOST_BYTES = 4 << 30  # of all entries together
MOST_DOCUMENT_BYTES = 64 << 20  # of one file that is read as a whole
# Deflate reaches 1,032 to 1, the XML of an ordinary spreadsheet 50.
MOST_RATIO, RATIO_FROM_BYTES = 200, 64 << 20
# What reading from a damaged archive raises; a RuntimeError is one with a password, or of an unknown method.
DAMAGED_ARCHIVE = zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError
_HEBREW_CP862 = range(0x80, 0x9B)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in an archive or a folder: its path with `/`, its size, and how to open it."""

    path: str
    size: int
    open: Callable[[], IO[bytes]]

    def content(self) -> bytes:
        """Return all of a file; raises RowRefused for one that is too large or damaged."""
        if self.size > MOST_DOCUMENT_BYTES:
            raise RowRefused("bad_document.file_size", most=MOST_DOCUMENT_BYTES >> 20)
        try:
            with self.open() as stream:
                content = stream.read(MOST_DOCUMENT_BYTES + 1)
        except (*DAMAGED_ARCHIVE, ValueError) as error:
            raise RowRefused("bad_document.file", reason=str(error)[:200]) from error
        if len(content) > MOST_DOCUMENT_BYTES:
            raise RowRefused("bad_document.file_size", most=MOST_DOCUMENT_BYTES >> 20)
        return content


@contextmanager
def opened_archive(file: Path | IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; raises FileUnusable for what is none, or beyond the limits."""
    try:
        archive = zipfile.ZipFile(file)
    except (*DAMAGED_ARCHIVE, ValueError) as error:
        raise FileUnusable("damaged", reason=str(error)[:200]) from error
    with archive:
        check_archive(archive)
        yield archive


def check_archive(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise FileUnusable("archive.entries", most=MOST_ENTRIES)
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise FileUnusable("archive.size", most=MOST_BYTES >> 30)
    for entry in entries:
        if entry.file_size > max(RATIO_FROM_BYTES, entry.compress_size * MOST_RATIO):
            raise FileUnusable("archive.ratio", name=entry_path(entry), most=MOST_RATIO)
        if entry.flag_bits & 1:
            raise FileUnusable("archive.password")


def archive_entries(archive: zipfile.ZipFile) -> Iterator[Entry]:
    """Yield the files of an archive by their paths, without those that systems add."""
    named = sorted((entry_path(info), info) for info in archive.infolist() if not info.is_dir())
    for path, info in named:
        if is_shown(path):
            yield Entry(path, info.file_size, lambda info=info: archive.open(info))  # type: ignore[misc]


def folder_entries(folder: Path) -> Iterator[Entry]:
    """Yield the files of a folder by their paths; links are not followed out of it."""
    count = 0
    for directory, names, files in os.walk(folder):
        names.sort()
        for name in sorted(files):
            path = Path(directory, name)
            shown = path.relative_to(folder).as_posix()
            if not is_shown(shown) or path.is_symlink() or not path.is_file():
                continue
            count += 1
            if count > MOST_ENTRIES:
                raise FileUnusable("archive.entries", most=MOST_ENTRIES)
            yield Entry(shown, path.stat().st_size, lambda path=path: path.open("rb"))  # type: ignore[misc]


def is_shown(path: str) -> bool:
    """Whether no part of a path is hidden or made by a system."""
    parts = path.split("/")
    return not any(part.startswith((".", "__MACOSX", "~$")) for part in parts) and parts[-1] not in (
        "Thumbs.db", "desktop.ini",
    )  # fmt: skip


def entry_path(info: zipfile.ZipInfo) -> str:
    """Return the path of an entry; names without a mark of UTF-8 may still be that, or the Hebrew of DOS."""
    name = info.filename
    if not info.flag_bits & 0x800 and not name.isascii():
        raw = name.encode("cp437", "replace")
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            foreign = [byte for byte in raw if byte > 0x7F]
            name = raw.decode("cp862") if all(byte in _HEBREW_CP862 for byte in foreign) else name
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "/".join(parts)
