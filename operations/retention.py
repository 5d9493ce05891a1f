"""Deletes once a day what is older than the operator wants to keep it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from jobs.uploads import delete_old_uploads
from operations.audit import delete_old_entries, record
from screening.store import delete_unopened_screenings
from search.saved_searches import delete_old_searches

DAY_S = 86_400
FIRST_S, EVERY_S = 300, DAY_S
log = logging.getLogger("matmon.retention")


@dataclass(frozen=True, slots=True)
class KeptDays:
    """Days after which a screening that nobody opens, a saved search, an upload or an audit entry goes; 0 keeps it."""

    screenings: int
    searches: int
    uploads: int
    audit: int


def apply_retention(session: Session, kept: KeptDays, uploads: Path) -> dict[str, int]:
    """Delete what is too old, commit, and return how much; what was deleted is recorded in the audit log."""
    now = int(time.time())

    def before(days: int) -> int:
        return now - days * DAY_S if days else 0

    counts = {
        "screenings": delete_unopened_screenings(session, before(kept.screenings)),
        "saved searches": delete_old_searches(session, before(kept.searches)),
        "uploads": delete_old_uploads(session, uploads, before(kept.uploads)),
        # Visitors' entries have a bound of their own, however long entries are kept.
        "audit entries": delete_old_entries(session, before(kept.audit)),
    }
    if deleted := {name: count for name, count in counts.items() if count}:
        record(session, "retention", ", ".join(f"{count} {name}" for name, count in deleted.items()), "the site")
        log.info("Old data deleted: %s", deleted)
    return counts


class DailyRetention:
    """A thread that applies the retention a few minutes after the start, then daily; several processes may."""

    def __init__(self, sessions: Callable[[], AbstractContextManager[Session]], kept: KeptDays, uploads: Path) -> None:
        self._sessions, self._kept, self._uploads = sessions, kept, uploads
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once; call it after the fork."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        time.sleep(FIRST_S)
        while True:
            try:
                with self._sessions() as session:
                    apply_retention(session, self._kept, self._uploads)
            except (SQLAlchemyError, OSError) as error:
                log.warning("Old data could not be deleted; it is tried again tomorrow: %s", str(error)[:300])
            time.sleep(EVERY_S)
