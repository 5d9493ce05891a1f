"""The manifest of a prepared model: manifest.json in its folder, read and checked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
FILE_NAME = "manifest.json"
_SAME_SHARE = 0.35


class ModelUnusable(Exception):
    """A model folder that cannot be used; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A model's name, limits and measured similarity thresholds.

    The similarity of a query and a passage is their cosine + centred_weight x their mean-centred cosine, each centred
    by the mean of its language (load_means). score_low and score_high: similarities that score 0 and 1; below
    score_floor a passage is noise. centred_floor: the same for the mean-centred cosine alone, which rejects gibberish.
    A query with fewer than letters_per_token letters per token, none of whose words the collection contains, counts as
    gibberish and has the floor strict_floor. -1 and 0 mean not measured.
    tag_low: below it two tags are unrelated; from tag_high they are similar, and from tag_same having one as a skill
    means having the other. tag_across: the same across languages, for the mean-centred cosine. tokenizer and words: the
    kinds of tokenizer and word table, whose rows have `width` values (0: dim); start_token and end_token: ids of the
    special tokens around every text.
    """

    name: str
    dim: int
    max_tokens: int
    score_low: float
    score_high: float
    score_floor: float
    tag_low: float
    tag_high: float
    revision: str = ""
    source: str = ""
    licence: str = ""
    query_prefix: str = ""
    passage_prefix: str = ""
    pooling: str = "mean"
    centred_floor: float = -1.0
    strict_floor: float = -1.0
    centred_weight: float = 0.0
    letters_per_token: float = 0.0
    tag_same: float = 0.0
    tag_across: float = 0.0
    passage_batch_size: int = 4
    means: str = ""
    tokenizer: str = "unigram"
    words: str = "4-bit"
    width: int = 0
    start_token: int = 0
    end_token: int = 2
    files: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    checksum: str = ""
    format: int = FORMAT
    folder: Path = Path()

    @property
    def same_from(self) -> float:
        """Return tag_same or, if it was not measured, a value as far above tag_high as e5-small's."""
        return self.tag_same or self.tag_high + _SAME_SHARE * (1.0 - self.tag_high)


def read_manifest(folder: Path, checksums: bool = False) -> Manifest:
    """Return the manifest of a model folder, after checking that all files are present in full size.

    With checksums every file is read through as well (0.1 s for 80 MB). Raises ModelUnusable.
    """
    try:
        manifest = _parsed(folder)
        for name, size in manifest.sizes.items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:
                raise ModelUnusable(f"{path} is missing or not {size} bytes long; {remedy(folder)}")
        for name, checksum in manifest.files.items() if checksums else ():
            if file_checksum(folder / name) != checksum:
                raise ModelUnusable(f"{folder / name} is damaged; {remedy(folder)}")
    except PermissionError as error:
        raise ModelUnusable(
            f"{error.filename} may not be read by this user; open it with: chmod -R a+rX {folder}"
        ) from None
    return manifest


class FolderWatch:
    """Notices when the files of a loaded model are damaged: parts are read from the disk as long as it serves.

    Files that were deleted or replaced are still there for this process as they were loaded.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._folder, self._manifest = manifest.folder, manifest
        self._stamps = {name: self._stamp(name) for name in manifest.sizes}

    def _stamp(self, name: str) -> tuple[int, int, int]:
        """Return what identifies the file, and what changes with its content."""
        try:
            status = (self._folder / name).stat()
        except OSError:
            return 0, 0, 0
        return status.st_ino, status.st_size, status.st_mtime_ns

    def check(self) -> None:
        """Raise ModelUnusable if a file was changed in its place, unless its content is what it was."""
        for name, stamp in self._stamps.items():
            now = self._stamp(name)
            if now != stamp and now[0] == stamp[0]:
                if now[1] != stamp[1] or file_checksum(self._folder / name) != self._manifest.files.get(name):
                    raise ModelUnusable(f"{self._folder / name} was damaged while it served; {remedy(self._folder)}")
                self._stamps[name] = now


def load_means(manifest: Manifest) -> np.ndarray:
    """Return float32 of shape (2, 1 + languages, dim): mean embeddings of passages, then of queries.

    First of all texts, then of each language; zeros of shape (2, 1, dim) for a model that brings none. Raises
    ModelUnusable for a file of another shape.
    """
    if not manifest.means:
        return np.zeros((2, 1, manifest.dim), dtype=np.float32)
    means: np.ndarray = np.load(manifest.folder / manifest.means)
    if means.ndim != 3 or (means.shape[0], means.shape[2]) != (2, manifest.dim):
        raise ModelUnusable(
            f"{manifest.folder / manifest.means} has shape {means.shape}, not (2, n, {manifest.dim}); "
            f"{remedy(manifest.folder)}"
        )
    return means


def file_checksum(path: Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parsed(folder: Path) -> Manifest:
    try:
        values: dict[str, Any] = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelUnusable(f"{folder} is not there; {remedy(folder)}") from None
    except PermissionError:
        raise  # read_manifest says how to open it
    except (OSError, ValueError) as error:
        raise ModelUnusable(f"{folder / FILE_NAME} cannot be read ({error}); {remedy(folder)}") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ModelUnusable(f"{folder} was prepared for another version of Matmon; {remedy(folder)}")
    known = {each.name for each in fields(Manifest)} - {"folder"}
    try:
        return Manifest(folder=folder, **{name: value for name, value in values.items() if name in known})
    except TypeError as error:
        raise ModelUnusable(f"{folder / FILE_NAME} is incomplete ({error}); {remedy(folder)}") from None


def remedy(folder: Path) -> str:
    """Return how to fix an unusable folder, as the end of a sentence."""
    return f"make it with: python scripts/prepare_model.py {folder.name}"
