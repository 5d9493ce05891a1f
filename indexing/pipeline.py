"""Writing many documents: they are read and analysed while the last batch is written, on another core."""

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

from indexes.full_text import widen_index
from indexing.documents import Analysed, NewDocument, Written, analysed, unlike_stored, write_analysed
from utils.sql import many_writes

PR_SET_PDEATHSIG = 1  # from the system's prctl.h


def write_documents_ahead(
    session: Session,
    collection: str,
    batches: Iterable[Sequence[NewDocument]],
    on_written: Callable[[Written], None],
    own_process: bool = False,
) -> None:
    """Write batches as `write_documents` does, each in a transaction; the next one is made ready meanwhile.

    The database works without the interpreter's lock, so a thread is enough to use a second core in part. A process
    of its own for the analysis uses it whole, and takes some 60 MB more: for the command line, on Linux.
    """
    coming = iter(batches)
    with (
        analyst(own_process) as analysis,
        ThreadPoolExecutor(1, "reading") as reader,
        quick_turns() if own_process else nullcontext(),
        many_writes(session),
    ):
        widen_index(session)
        waiting: Future[list[Analysed]] | None = None
        reading = reader.submit(next, coming, None)
        while batch := reading.result():
            fresh, unchanged = unlike_stored(session, collection, batch)
            on_written(Written(unchanged=unchanged))
            analysing = (analysis or reader).submit(analysed, collection, fresh)
            reading = reader.submit(next, coming, None)
            if waiting:
                on_written(write_analysed(session, collection, waiting.result()))
            waiting = analysing
        if waiting:
            on_written(write_analysed(session, collection, waiting.result()))


@contextmanager
def analyst(own_process: bool) -> Iterator[Executor | None]:
    """Give one process that analyses, or none where it cannot be had: a fork is safe while there is one thread."""
    if not own_process or not sys.platform.startswith("linux"):
        yield None
        return
    # What is loaded by now stays: looked through again and again, it would take a tenth of the time.
    gc.freeze()
    with ProcessPoolExecutor(1, get_context("fork"), initializer=end_with_parent) as process:
        process.submit(end_with_parent).result()  # it is there before the first thread is
        yield process


def end_with_parent() -> None:
    """Leave interrupts to the parent, and end when it ends, killed or not: a pipe alone would not tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def quick_turns() -> Iterator[None]:
    """Let threads take turns after 0.05 ms, not 5: SQLite gives the interpreter up, and then waits to have it back."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.00005)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
