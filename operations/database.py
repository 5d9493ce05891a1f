"""What is wrong with the database: faults that statements met, and a check of SQLite's file."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from utils.database_faults import Fault, database_fault, may_write

ADVICE: dict[Fault, str] = {
    "unreachable": "See whether the database runs and DATABASE_URL is right: flask --app app check database",
    "damaged": "Stop the site, copy the database away, and restore a backup: flask --app app restore FILE",
    "read_only": "Make the disk writable, and give the site's user the right to write the database and its folder.",
    "full": "Free some space on the database's disk. Nothing needs to be restarted.",
    "no_tables": "Create the tables or bring them up to date: flask --app app db upgrade",
}
LEAST_FREE_BYTES = 1024 * 1024
NOTED_S = 60.0  # a statement that met a full or read-only disk says so for that long
WAIT_S = 1.0  # for the first check, which takes longer only where the file is large
CHECK_AGAIN_S = {True: 86_400.0, False: 60.0}  # after a check that found nothing, and one that did
log = logging.getLogger("matmon")


class DatabaseState:
    """The faults of one database, from every statement of this process."""

    def __init__(self, engine: Engine) -> None:
        self._file = (engine.url.database or "") if engine.dialect.name == "sqlite" else ""
        self._noted: dict[Fault, float] = {}
        self.last: Fault = ""
        self._is_sound, self._checked_at = True, float("-inf")
        self._lock, self._check = threading.Lock(), threading.Thread()
        event.listen(engine, "handle_error", self._note)

    def _note(self, context: ExceptionContext) -> None:
        if fault := database_fault(context.original_exception):
            self.note(fault)

    def note(self, fault: Fault) -> None:
        """Remember a fault that was met now."""
        self.last = fault
        self._noted[fault] = time.monotonic()

    def fault(self) -> Fault:
        """Return the fault that there is while the database answers; "damaged" until a check finds nothing."""
        if self.is_damaged():
            return "damaged"
        if not may_write(self._file) if self._file else self._is_recent("read_only"):
            return "read_only"
        return "full" if self._is_recent("full") or self._has_no_room() else ""

    def _is_recent(self, fault: Fault) -> bool:
        return time.monotonic() - self._noted.get(fault, float("-inf")) < NOTED_S

    def _has_no_room(self) -> bool:
        try:
            return bool(self._file) and shutil.disk_usage(Path(self._file).parent).free < LEAST_FREE_BYTES
        except OSError:
            return False

    def is_damaged(self) -> bool:
        """Whether the last check found damage, or a statement met some since; starts a check when one is due."""
        if not self._file:
            return self._is_recent("damaged")
        is_first = self._checked_at < 0
        with self._lock:
            is_due = time.monotonic() - self._checked_at > CHECK_AGAIN_S[self._is_sound and not self._has_met_damage()]
            if is_due and not self._check.is_alive():
                self._check = threading.Thread(target=self._look, name="database-check", daemon=True)
                self._check.start()
        if is_first:
            self._check.join(WAIT_S)
        return self._has_met_damage() or not self._is_sound

    def _has_met_damage(self) -> bool:
        return self._noted.get("damaged", float("-inf")) > self._checked_at

    def _look(self) -> None:
        began = time.monotonic()
        problem = sqlite_problem(self._file)
        if problem and self._is_sound:
            log.error("The database is damaged: %s", problem)
        self._is_sound, self._checked_at = not problem, began


def sqlite_problem(path: str) -> str:
    """Return the first problem in a SQLite file; an empty string if there is none, or if it cannot be opened now."""
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (first,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error) if database_fault(error) == "damaged" else ""
    return "" if first == "ok" else str(first)[:200]
