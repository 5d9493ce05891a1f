"""Download a prepared model: python scripts/fetch_model.py, with the standard library only.

Reads MODEL_ARCHIVE_URL and MODEL_ARCHIVE_SHA256 (what `scripts/prepare_model.py … --archive` wrote and printed),
SEMANTIC_MODEL and MODELS_DIR. Does nothing if the folder is complete; resumes an interrupted download.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

ROOT = Path(__file__).resolve().parents[1]

MOST_BYTES = 2 * 2**30  # of an archive and of what it unpacks to; AlephBERT takes 0.14
MOST_FILES = 64
ATTEMPTS = 4
TIMEOUT_S = 30.0
_PIECE = 256 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class NotFetched(Exception):
    """The model could not be fetched; the message says what to do."""


@dataclass(frozen=True)
class Wanted:
    """A model folder, and the URL and sha256 of its archive; both empty if none is configured."""

    name: str
    models: Path
    url: str
    sha256: str

    @property
    def folder(self) -> Path:
        return self.models / self.name

    @property
    def stamp(self) -> Path:
        """The file that names the archive of the folder."""
        return self.models / f".{self.name}.archive"


def main() -> int:
    """Fetch the model of the environment and return the exit status: 1 after an error."""
    try:
        print(fetch(wanted(os.environ)))
    except NotFetched as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"the model could not be written ({error}): free some disk and run this again", file=sys.stderr)
        return 1
    return 0


def wanted(environ: Mapping[str, str]) -> Wanted | None:
    """Return the model that the environment names; None if the site needs no folder. Raises NotFetched."""
    name = environ.get("SEMANTIC_MODEL", "").strip() or "e5-small"
    if name in ("none", "remote"):
        return None
    if not _NAME.fullmatch(name):
        raise NotFetched(f"SEMANTIC_MODEL={name!r}: small letters, digits, dots and dashes only")
    url, sha256 = environ.get("MODEL_ARCHIVE_URL", "").strip(), environ.get("MODEL_ARCHIVE_SHA256", "").strip().lower()
    if url and urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise NotFetched("MODEL_ARCHIVE_URL must begin with https:// or http://")
    if url and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise NotFetched("MODEL_ARCHIVE_SHA256 must be the 64 digits that prepare_model.py --archive printed")
    return Wanted(name, Path(environ.get("MODELS_DIR") or ROOT / "models"), url, sha256)


def fetch(model: Wanted | None) -> str:
    """Fetch the model folder, completely or not at all, and return what was done. Raises NotFetched."""
    if model is None:
        return "SEMANTIC_MODEL asks for no model folder: nothing to fetch"
    if _is_here(model):
        return f"{model.folder} is complete: nothing to do"
    if not model.url:
        raise NotFetched(f"{model.folder} is not complete and MODEL_ARCHIVE_URL is not set: set it, or make the model")
    model.models.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with _alone(model):
        if _is_here(model):
            return f"{model.folder} is complete: nothing to do"
        archive = _downloaded(model)
        _unpack(archive, model)
        archive.unlink()
    return f"{model.folder} fetched in {time.monotonic() - began:.0f} s"


def is_complete(folder: Path) -> bool:
    """Tell whether every file in the folder's manifest is there with its checksum."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
        return bool(files) and all(_checksum(folder / name) == checksum for name, checksum in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _is_here(model: Wanted) -> bool:
    """Tell whether the folder is complete and of this archive; one that was made here is left alone."""
    archive = model.stamp.read_text(encoding="ascii").strip() if model.stamp.exists() else ""
    return archive in ("", model.sha256 or archive) and is_complete(model.folder)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _alone(model: Wanted) -> Iterator[None]:
    """Keep other processes on this host from fetching the same model."""
    with (model.models / f".{model.name}.lock").open("w") as lock:
        with contextlib.suppress(ImportError):  # Windows has no fcntl
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _downloaded(model: Wanted) -> Path:
    """Return the downloaded archive, with its checksum verified."""
    part = model.models / f".{model.name}-{model.sha256[:16]}.part"
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue(model.url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            if not _is_passing(error) or attempt == ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                raise NotFetched(
                    f"the archive cannot be fetched from {_shown(model.url)} ({reason}): check MODEL_ARCHIVE_URL "
                    f"and run this again; what was fetched is kept"
                ) from error
            time.sleep(attempt)
    if (checksum := _checksum(part)) != model.sha256:
        part.unlink()
        raise NotFetched(
            f"the archive has the sha256 {checksum}, not {model.sha256}: it was deleted; "
            f"check MODEL_ARCHIVE_URL and MODEL_ARCHIVE_SHA256"
        )
    return part


def _is_passing(error: Exception) -> bool:
    """Tell whether an error may be over in a moment, unlike a wrong URL or a full disk."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in (408, 429) or error.code >= 500
    return getattr(error, "errno", None) != errno.ENOSPC


def _continue(url: str, part: Path) -> None:
    """Resume a download; a server without ranges sends everything again."""
    begin = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "matmon"} | ({"Range": f"bytes={begin}-"} if begin else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 416:  # it is complete, or of another file: the checksum decides
            return
        raise
    with response:
        is_partial = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {begin}-")
        length = int(response.headers.get("Content-Length") or 0)
        _check_room(part.parent, length)
        with part.open("ab" if is_partial else "wb") as file:
            _copy(response, file, MOST_BYTES - (begin if is_partial else 0), "the archive")
            received = file.tell() - (begin if is_partial else 0)
    if received < length:
        raise http.client.IncompleteRead(b"", length - received)


def _check_room(folder: Path, length: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < 2.5 * length:  # the archive and the unpacked files
        raise NotFetched(
            f"{folder} has {free // 2**20} MB free and the model takes {5 * length // 2**21}: free some disk"
        )


def _copy(source: IO[bytes], target: IO[bytes], most: int, what: str) -> int:
    """Copy at most `most` bytes and return their number. Raises NotFetched if there are more."""
    copied = 0
    while piece := source.read(_PIECE):
        copied += len(piece)
        if copied > most:
            raise NotFetched(f"{what} is larger than {MOST_BYTES // 2**30} GB: it is not a model")
        target.write(piece)
    return copied


def _unpack(archive: Path, model: Wanted) -> None:
    """Unpack the archive into the model folder, if every checksum in its manifest is right."""
    with tempfile.TemporaryDirectory(dir=model.models, prefix=f".{model.name}-") as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        _extract(archive, new)
        if not is_complete(new):
            raise NotFetched(f"the archive at {_shown(model.url)} is incomplete: write it again with --archive")
        name = json.loads((new / "manifest.json").read_text(encoding="utf-8")).get("name")
        if name != model.name:
            raise NotFetched(f"the archive holds the model {name}: set SEMANTIC_MODEL={name}, or fetch another archive")
        new.chmod(0o755)
        if model.folder.exists():
            model.folder.rename(old)
        new.rename(model.folder)
    model.stamp.write_text(model.sha256, encoding="ascii")


def _extract(archive: Path, folder: Path) -> None:
    """Extract the files of a .tar.gz or .zip into one folder. Raises NotFetched for anything but plain files."""
    left, count = MOST_BYTES, 0
    try:
        for name, opened in _members(archive):
            count += 1
            if count > MOST_FILES:
                raise NotFetched(f"the archive holds more than {MOST_FILES} files: it is not a model")
            path = folder / _file_name(name)
            with opened() as source, path.open("xb") as target:
                left -= _copy(source, target, left, "what the archive unpacks to")
            path.chmod(0o644)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, FileExistsError, ValueError) as error:
        raise NotFetched(f"the archive cannot be unpacked ({error}): write it again with --archive") from error


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """Yield each file's name and a function that opens it; raises NotFetched for links and devices."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if not entry.is_dir():
                    yield entry.filename, lambda entry=entry: packed.open(entry)  # type: ignore[misc]
        return
    with tarfile.open(archive, "r|gz") as stream:  # as a stream, in constant memory
        for member in stream:
            if member.isdir():
                continue
            if not member.isfile():
                raise NotFetched(f"the archive holds {member.name!r}, which is not a plain file: it is not unpacked")
            yield member.name, lambda member=member: stream.extractfile(member)  # type: ignore[misc]


def _file_name(name: str) -> str:
    """Return the file name of NAME or FOLDER/NAME; raises NotFetched for any other path."""
    parts = [part for part in PurePosixPath(name).parts if part != "."]
    plain = len(parts) in (1, 2) and all(re.fullmatch(r"[\w-][\w.-]*", part) for part in parts)
    if not plain or "\\" in name or name.startswith("/"):
        raise NotFetched(f"the archive holds {name!r}, which is not a file of one folder: it is not unpacked")
    return parts[-1]


def _shown(url: str) -> str:
    """Return a URL without the parts that may be secret."""
    split = urllib.parse.urlsplit(url)
    return f"{split.scheme}://{split.hostname}{split.path}"


if __name__ == "__main__":
    sys.exit(main())
