"""The packed embeddings of a model in a memory-mapped file, or in memory where no disk can be written.

The file is a cache: whoever finds it missing, outdated or damaged makes it of the segments in the database. Processes
share its pages, and the kernel may take them back. When a process replaces it, the others keep theirs.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from indexes.embedding_segments import (
    Packed,
    current_documents,
    kept_documents,
    packed_segments,
    read_kept_rows,
)
from indexes.embedding_space import EmbeddingSpace
from utils.bit_rows import BitQuery, BitRows, Floats, Places, SearchTarget
from utils.keyed_rows import ranges
from utils.memory import MAPPED_FILES

LAYOUT = 3  # increased when the file is laid out otherwise
HEADER_BYTES = 4_096
ALIGNED = mmap.PAGESIZE
BITS = ("planes", "magnitudes", "norms", "factors", "finer", "biases", "groups")
log = logging.getLogger("matmon.search")


@dataclass(frozen=True, slots=True)
class Header:
    """What a file holds: of which database (`epoch`), model and means, up to which data version, and how much."""

    epoch: int
    model: int
    basis: int
    version: int
    documents: int
    rows: int
    dim: int
    layout: int = LAYOUT
    checksum: int = 0

    def columns(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Return the shapes and types of the arrays that follow the header, in their order."""
        arrays = dict(zip(BITS, BitRows.empty(0, self.dim).arrays, strict=True))
        rows = {name: ((*array.shape[:-1], self.rows), array.dtype) for name, array in arrays.items()}
        of_documents = {"keys": np.int64, "starts": np.uint32, "order": np.uint32}
        return rows | {name: ((self.documents,), np.dtype(kind)) for name, kind in of_documents.items()}

    def places(self) -> Iterator[tuple[tuple[int, ...], Any, int]]:
        """Yield shape, type and first byte of each array."""
        start = HEADER_BYTES
        for shape, kind in self.columns().values():
            yield shape, kind, start
            start += -(-int(np.prod(shape)) * kind.itemsize // ALIGNED) * ALIGNED

    @property
    def nbytes(self) -> int:
        shape, kind, start = list(self.places())[-1]
        return int(start + -(-int(np.prod(shape)) * kind.itemsize // ALIGNED) * ALIGNED)

    def tobytes(self) -> bytes:
        return json.dumps(asdict(self)).encode().ljust(HEADER_BYTES)


class MappedIndex:
    """The rows of a file: bits in the order of the segments, and where the rows of each document are.

    What changed since is left out by `remove`.
    """

    def __init__(self, header: Header, memory: mmap.mmap, path: Path | None) -> None:
        self.header, self.path = header, path
        if path:
            MAPPED_FILES.add(self)
        # Few rows of these are read, far apart: reading on around each would push out what every search needs.
        (*_, first), (*_, after) = islice(header.places(), 1, 3)
        memory.madvise(mmap.MADV_RANDOM, first, after - first)  # the magnitudes
        arrays = [np.ndarray(shape, kind, memory, start) for shape, kind, start in header.places()]
        self.bits = BitRows(*arrays[: len(BITS)])
        self.keys, self.starts, self.order = arrays[len(BITS) :]
        self.removed = np.zeros(0, np.int64)
        self._mean_norm: float | None = None

    @property
    def size(self) -> int:
        return self.header.rows - len(self.removed)

    @property
    def nbytes(self) -> int:
        return self.header.nbytes

    @property
    def mean_norm(self) -> float:
        if self._mean_norm is None:
            self._mean_norm = self.bits.mean_norm()
        return self._mean_norm

    def places(self, keys: Places) -> Places:
        """Return the places of all rows of the given keys (sorted, distinct)."""
        if not len(self.keys):
            return np.zeros(0, np.int64)
        nearest = np.minimum(np.searchsorted(self.keys, keys, sorter=self.order), len(self.keys) - 1)
        documents = self.order[nearest]
        documents = documents[self.keys[documents] == keys]
        starts = self.starts[documents]
        is_last = documents == len(self.keys) - 1
        ends = np.where(is_last, self.header.rows, self.starts[np.where(is_last, 0, documents + 1)])
        return ranges(starts, ends - starts)

    def remove(self, keys: Places) -> None:
        """Leave out all rows of the given keys from now on."""
        self.removed = np.union1d(self.removed, self.places(np.unique(keys)))

    def nearest(
        self, target: SearchTarget, query_mean: Floats, first: int, then: int, among: Places | None = None
    ) -> tuple[Places, Floats]:
        """Return at most `then` places with estimates, best first; `first` of them are compared as floats."""
        without = self.removed if len(self.removed) else None
        return BitQuery(target, query_mean, self.mean_norm).nearest(self.bits, first, then, among, without)

    def pairs(self, places: Places) -> list[tuple[int, int]]:
        """Return the (key, part) of rows."""
        documents = np.searchsorted(self.starts, places, side="right") - 1
        return list(zip(self.keys[documents].tolist(), (places - self.starts[documents]).tolist(), strict=True))


def opened_index(folder: Path, space: EmbeddingSpace, epoch: int) -> MappedIndex | None:
    """Return the index in a folder's file; None if there is none, or it is not whole or of something else."""
    path = index_path(folder, space.model)
    try:
        with path.open("rb") as file:
            header = Header(**json.loads(file.read(HEADER_BYTES)))
            if (header.layout, header.epoch, header.basis) != (LAYOUT, epoch, space.basis):
                return None
            size = os.fstat(file.fileno()).st_size
            memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s cannot be read and is made anew: %s", path, error)
        return None
    if size != header.nbytes or checksum(memory) != header.checksum:
        log.warning("%s is damaged and is made anew", path)
        return None
    return MappedIndex(header, memory, path)


def made_index(session: Session, folder: Path | None, space: EmbeddingSpace, packed: Packed) -> MappedIndex:
    """Make the index of the segments in the database, in a file of the folder or in memory.

    Raises PackedGone, and OSError if the disk is full.
    """
    segments = packed_segments(session, space.model)
    kept = [mask & (segment.counts > 0) for segment, mask in zip(segments, current_documents(segments), strict=True)]
    keys, counts = kept_documents(segments, kept)
    header = Header(packed.epoch, space.model, space.basis, packed.version, len(keys), int(counts.sum()), space.dim)
    of_documents = keys, (np.cumsum(counts) - counts).astype(np.uint32), np.argsort(keys).astype(np.uint32)
    read = (read_kept_rows(session, segment, mask, space.dim) for segment, mask in zip(segments, kept, strict=True))
    if folder is not None:
        return _made_file(folder, header, _pieces(header, of_documents, read))
    memory = mmap.mmap(-1, header.nbytes)
    for start, array in _pieces(header, of_documents, read):
        memory[start : start + array.nbytes] = array.tobytes()
    return MappedIndex(header, memory, None)


def _pieces(
    header: Header, of_documents: Sequence[NDArray[Any]], read: Iterable[BitRows]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the parts of the arrays, and the byte at which each begins."""
    places = list(header.places())
    yield from zip((start for *_, start in places[len(BITS) :]), of_documents, strict=True)
    before = 0
    for rows in filter(lambda each: each.size, read):
        for array, (_, kind, start) in zip(rows.arrays, places, strict=False):
            for plane, values in enumerate(array.reshape(-1, rows.size)):
                yield start + (plane * header.rows + before) * kind.itemsize, np.ascontiguousarray(values)
        before += rows.size


def _made_file(folder: Path, header: Header, pieces: Iterable[tuple[int, NDArray[Any]]]) -> MappedIndex:
    """Write a file under another name, give it its own, and remove those of other models."""
    path = index_path(folder, header.model)
    new = folder / f"{path.name}.{os.getpid()}"
    try:
        with new.open("w+b") as file:
            os.posix_fallocate(file.fileno(), 0, header.nbytes)  # a full disk is found out before anything is read
            for start, array in pieces:
                file.seek(start)
                file.write(array.tobytes())
            file.flush()
            memory = mmap.mmap(file.fileno(), header.nbytes, access=mmap.ACCESS_READ)
            header = replace(header, checksum=checksum(memory))
            file.seek(0)
            file.write(header.tobytes())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    for other in set(folder.glob("embeddings-*.index")) - {path}:
        other.unlink(missing_ok=True)
    return MappedIndex(header, memory, path)


def checksum(memory: mmap.mmap) -> int:
    with memoryview(memory) as whole:
        return zlib.crc32(whole[HEADER_BYTES:])


def index_path(folder: Path, model: int) -> Path:
    return folder / f"embeddings-{model}.index"


def loaded_index(
    session: Session, folder: Path | None, space: EmbeddingSpace, packed: Packed, is_current: Callable[[int], bool]
) -> MappedIndex:
    """Return the index in the folder's file if it `is_current` at its version, or else a new one; raises PackedGone."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with only_process(folder, space.model):
                index = opened_index(folder, space, packed.epoch)
                if index is None or not is_current(index.header.version):
                    index = made_index(session, folder, space, packed)
                return index
        except OSError as error:
            log.warning("The index of embeddings is held in memory, not in %s: %s", folder, error)
    return made_index(session, None, space, packed)


@contextmanager
def only_process(folder: Path, model: int) -> Iterator[None]:
    """Let one process at a time look at the file and make it."""
    with (folder / f"embeddings-{model}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
