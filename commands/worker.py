"""flask worker: screenings and embeddings in a process of their own, so that the web host stays small."""

from __future__ import annotations

import logging
import signal

import click

from commands.console import need_tables
from web.current import runtime

log = logging.getLogger("matmon.worker")


@click.command("worker")
def worker_command() -> None:
    """Run screenings and embed documents until stopped; for web hosts with BACKGROUND=worker."""
    need_tables()
    worker = runtime().worker()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.request_stop())
    runtime().guard.start()
    log.info("The worker waits for screenings and for documents to embed")
    worker.run()
    log.info("The worker stopped")
