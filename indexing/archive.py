"""The file of a backup: a ZIP with one member per table, a JSON list per line, and a manifest with checksums."""

from __future__ import annotations

import base64
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import LargeBinary, Table

FORMAT = 1
MANIFEST = "manifest.json"
QUICK = 1  # zlib level: embeddings hardly shrink, and texts shrink at any level
MOST_LINE_BYTES = 16_777_216  # of a row; a document has at most a megabyte of text


class ArchiveUnusable(ValueError):
    """The file is not a complete backup, or of a later version; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Part:
    """The manifest's entry for a member: columns, row count, and checksum of its text."""

    columns: tuple[str, ...]
    rows: int
    sha256: str


@dataclass(slots=True)
class ArchiveManifest:
    """The contents of a backup; `database` describes the database that it was made from."""

    database: dict[str, Any]
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts.values())

    def as_text(self) -> str:
        parts = {name: asdict(part) for name, part in self.parts.items()}
        return json.dumps({"format": FORMAT, **self.database, "tables": parts}, ensure_ascii=False, indent=1)

    @classmethod
    def of_text(cls, text: bytes) -> ArchiveManifest:
        """Return the manifest of a backup; raises ArchiveUnusable for one of a later format."""
        values = json.loads(text)
        version = values.pop("format")
        if version > FORMAT:
            later = f"the backup is of a later version of Matmon (format {version}, and this one reads {FORMAT})"
            raise ArchiveUnusable(f"{later}: upgrade first")
        tables = values.pop("tables").items()
        return cls(values, {name: Part(tuple(part["columns"]), part["rows"], part["sha256"]) for name, part in tables})


class ArchiveWriter:
    """An archive being written, one table after another."""

    def __init__(self, file: zipfile.ZipFile, manifest: ArchiveManifest, on_rows: Callable[[int], None]) -> None:
        self._file, self.manifest, self._on_rows = file, manifest, on_rows

    def add(self, name: str, columns: Iterable[str], rows: Iterable[list[Any]]) -> None:
        digest, count = sha256(), 0
        with self._file.open(f"{name}.jsonl", "w", force_zip64=True) as member:
            for row in rows:
                line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
                member.write(line + b"\n")
                digest.update(line + b"\n")
                count += 1
                self._on_rows(1)
        self.manifest.parts[name] = Part(tuple(columns), count, digest.hexdigest())


@contextmanager
def new_archive(path: Path, database: dict[str, Any], on_rows: Callable[[int], None]) -> Iterator[ArchiveWriter]:
    """Write an archive atomically, readable by its owner only."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=QUICK) as archive:
                writer = ArchiveWriter(archive, ArchiveManifest(database), on_rows)
                yield writer
                archive.writestr(MANIFEST, writer.manifest.as_text())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()


class Archive:
    """A backup to read from; raises ArchiveUnusable if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
            self.manifest = ArchiveManifest.of_text(self._zip.read(MANIFEST))
        except FileNotFoundError as error:
            raise ArchiveUnusable(f"{path}: there is no such file") from error
        except ArchiveUnusable:
            raise
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            incomplete = f"{path.name} is not a complete backup ({error})"
            raise ArchiveUnusable(f"{incomplete}: it was cut off, or is another kind of file. Use another") from error

    def verify(self, on_rows: Callable[[int], None] = lambda _: None) -> None:
        """Read everything; raises ArchiveUnusable if a member does not match the manifest."""
        for name, part in self.manifest.parts.items():
            digest, count = sha256(), 0
            for line in self._lines(name):
                digest.update(line)
                count += 1
                on_rows(1)
            if (digest.hexdigest(), count) != (part.sha256, part.rows):
                raise ArchiveUnusable(f"{self.path.name}: {name} is damaged. Use an older backup")

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield a table's rows as {column: JSON value}."""
        if part := self.manifest.parts.get(name):
            for line in self._lines(name):
                try:
                    values = json.loads(line.decode("utf-8", "surrogatepass"))
                except (ValueError, RecursionError) as error:
                    raise ArchiveUnusable(f"{self.path.name}: {name} cannot be read. Use an older backup") from error
                yield dict(zip(part.columns, values, strict=True))

    def _lines(self, name: str) -> Iterator[bytes]:
        try:
            with self._zip.open(f"{name}.jsonl") as member:
                while line := member.readline(MOST_LINE_BYTES):
                    yield line
        except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise ArchiveUnusable(f"{self.path.name}: {name} cannot be read ({error}). Use an older backup") from error


def json_row(table: Table, row: Iterable[Any]) -> list[Any]:
    """Return a stored row as JSON; bytes become base64."""
    return [
        base64.b64encode(value).decode() if isinstance(column.type, LargeBinary) and value is not None else value
        for column, value in zip(table.columns, row, strict=True)
    ]


def stored_row(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return the row that `json_row` encoded."""
    return {
        name: base64.b64decode(value) if isinstance(table.c[name].type, LargeBinary) and value is not None else value
        for name, value in row.items()
    }
