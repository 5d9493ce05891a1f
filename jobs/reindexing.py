"""The job that indexes the words of stored documents after an upgrade."""

from __future__ import annotations

import logging
import threading

from indexing.reindexing import index_stored, needs_indexing
from jobs.claims import Sessions

log = logging.getLogger("matmon.jobs")


class ReindexJobs:
    """Indexes documents that await it. Several processes may: each batch locks out other writers."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def run_next(self, stop: threading.Event) -> bool:
        with self._sessions() as session:
            if not needs_indexing(session):
                return False
            session.rollback()
            log.info("The words of stored documents are being indexed; until that is done not all of them are found")
            count = index_stored(session, stop)
            log.info("The words of %s documents were indexed", count)
            return count > 0

    def is_open(self) -> bool:
        with self._sessions() as session:
            return needs_indexing(session)
