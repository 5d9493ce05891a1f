"""A pipeline for many documents: the next batch is read and analysed on another core while one is written."""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import get_context

from sqlalchemy.orm import Session

from indexes.merging import compact_segments, merge_segments
from indexing.documents import (
    Analysed,
    DocumentKeyCollision,
    NewDocument,
    Written,
    analysed,
    unlike_stored,
    write_uncommitted,
)
from indexing.journal import Journal
from utils.memory import keep_heap_small
from utils.sql import many_writes

PR_SET_PDEATHSIG = 1  # from prctl.h
# Batches of a transaction on the command line, and the cache that holds the pages they change: keys are random, so each
# batch changes most pages of a small table, and each transaction writes them twice. Others wait about a second.
TOGETHER, CACHE_KB = 8, 8_000
SMALL_CACHE_KB = 4_000
LARGE_BYTES = 2_000_000  # pieces of memory up to this are used again instead of being mapped anew for each array
IMPORT_FAN_OUT = 24  # segments are merged more rarely while they come in large ones


def write_documents_ahead(
    session: Session,
    collection: str,
    batches: Iterable[Sequence[NewDocument]],
    on_written: Callable[[Written], None],
    own_process: bool = False,
    journal: Journal | None = None,
) -> None:
    """Write batches like `write_documents` while the next batch is prepared.

    The database releases the GIL, so a thread uses part of a second core. A process for the analysis uses all of it but
    takes about 60 MB: for the command line, on Linux.
    """
    coming = iter(batches)
    writer = _Writer(session, collection, on_written, TOGETHER if own_process else 1, journal)
    with (
        analyst(own_process) as analysis,
        ThreadPoolExecutor(1, "reading") as reader,
        quick_turns() if own_process else nullcontext(),
        many_writes(session, CACHE_KB if own_process else SMALL_CACHE_KB),
    ):
        waiting: Future[list[Analysed]] | None = None
        reading = reader.submit(next, coming, None)
        while batch := reading.result():
            with writer.keeping_what_is_written():
                fresh, unchanged = unlike_stored(session, collection, batch)
            on_written(Written(unchanged=unchanged))
            analysing = (analysis or reader).submit(analysed, collection, fresh)
            reading = reader.submit(next, coming, None)
            if waiting:
                writer.write(waiting.result())
            waiting = analysing
        if waiting:
            writer.write(waiting.result())
        writer.finish()


class _Writer:
    """Writes batches, several in a transaction, and counts them once they are committed."""

    def __init__(
        self,
        session: Session,
        collection: str,
        on_written: Callable[[Written], None],
        together: int,
        journal: Journal | None,
    ) -> None:
        self._session, self._collection, self._on_written, self._together = session, collection, on_written, together
        self._journal = journal
        self._waiting, self._total = 0, Written()
        self._uncommitted = Written()

    @contextmanager
    def keeping_what_is_written(self) -> Iterator[None]:
        """Commit what waits if a batch is refused, and end a transaction that only reads."""
        try:
            yield
        except DocumentKeyCollision:
            self._commit()
            raise
        if not self._waiting:
            self._session.rollback()

    def write(self, news: list[Analysed]) -> None:
        self._uncommitted.add(write_uncommitted(self._session, self._collection, news, self._journal))
        self._waiting += 1
        if self._waiting == self._together:
            self._commit()
            merge_segments(self._session, fan_out=IMPORT_FAN_OUT)

    def finish(self) -> None:
        self._commit()
        compact_segments(self._session, self._total.new + self._total.changed)

    def _commit(self) -> None:
        self._session.commit()
        self._total.add(self._uncommitted)
        self._on_written(self._uncommitted)
        self._waiting, self._uncommitted = 0, Written()


@contextmanager
def analyst(own_process: bool) -> Iterator[Executor | None]:
    """Start a process that analyses documents, or none if impossible; forking is safe while there is one thread."""
    if not own_process or not sys.platform.startswith("linux"):
        yield None
        return
    keep_heap_small(large_bytes=LARGE_BYTES)
    # Freeze what is loaded: garbage collections of it would take a tenth of the time.
    gc.freeze()
    with ProcessPoolExecutor(1, get_context("fork"), initializer=end_with_parent) as process:
        process.submit(end_with_parent).result()  # started before the first thread
        yield process


def end_with_parent() -> None:
    """Leave interrupts to the parent, and exit when it exits, even if killed: a pipe alone would not tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def quick_turns() -> Iterator[None]:
    """Switch threads every 0.05 ms instead of 5: SQLite releases the GIL and then waits to get it back."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.00005)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
