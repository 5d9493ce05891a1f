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
from indexing.documents import Analysed, NewDocument, Written, analysed, unlike_stored, write_analysed
from utils.sql import many_writes

PR_SET_PDEATHSIG = 1  # from prctl.h


def write_documents_ahead(
    session: Session,
    collection: str,
    batches: Iterable[Sequence[NewDocument]],
    on_written: Callable[[Written], None],
    own_process: bool = False,
) -> None:
    """Write batches like `write_documents`, one transaction each, while the next batch is prepared.

    The database releases the GIL, so a thread uses part of a second core. A process for the analysis uses all of it but
    takes about 60 MB: for the command line, on Linux.
    """
    coming = iter(batches)
    total = Written()

    def write(news: list[Analysed]) -> None:
        written = write_analysed(session, collection, news)
        total.add(written)
        on_written(written)

    with (
        analyst(own_process) as analysis,
        ThreadPoolExecutor(1, "reading") as reader,
        quick_turns() if own_process else nullcontext(),
        many_writes(session),
    ):
        waiting: Future[list[Analysed]] | None = None
        reading = reader.submit(next, coming, None)
        while batch := reading.result():
            fresh, unchanged = unlike_stored(session, collection, batch)
            on_written(Written(unchanged=unchanged))
            analysing = (analysis or reader).submit(analysed, collection, fresh)
            reading = reader.submit(next, coming, None)
            if waiting:
                write(waiting.result())
                merge_segments(session)
            waiting = analysing
        if waiting:
            write(waiting.result())
        compact_segments(session, total.new + total.changed)


@contextmanager
def analyst(own_process: bool) -> Iterator[Executor | None]:
    """Start a process that analyses documents, or none if impossible; forking is safe while there is one thread."""
    if not own_process or not sys.platform.startswith("linux"):
        yield None
        return
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
