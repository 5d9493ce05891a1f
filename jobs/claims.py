"""Claims on rows of background work: of all processes one runs a row, reports its progress, and stops when told."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select, update
from sqlalchemy.orm import Session

from models import Job, Screening

SILENT_S = 30  # a run that reported nothing for so long is dead, and another process may claim its row
REPORT_EVERY_S = 0.5
RUNNING = ("running", "embedding")
Sessions = Callable[[], AbstractContextManager[Session]]
Row = Job | Screening


class Stopped(Exception):
    """The row was cancelled, deleted or claimed by another process, or this process is shutting down."""


def is_cut_off(row: Row) -> bool:
    """Tell whether the process that ran a row is gone; a report of the future was made before a clock was set back."""
    return row.state in RUNNING and abs(time.time() - row.updated_at) > SILENT_S


def is_claimable(table: type[Row], queued: str) -> ColumnElement[bool]:
    """Return the condition on rows that wait in the queue, or whose process is gone."""
    now = int(time.time())
    is_silent = not_(table.updated_at.between(now - SILENT_S, now + SILENT_S))
    return or_(table.state == queued, and_(table.state.in_(RUNNING), is_silent))


@dataclass(slots=True)
class Claim:
    """The right to run one row, held while the row has this token and runs."""

    sessions: Sessions
    table: type[Row]
    id: int
    stop: threading.Event
    token: int = field(default_factory=lambda: secrets.randbits(53))
    reported_at: float = 0.0

    def take(self, condition: ColumnElement[bool]) -> bool:
        """Claim the row if the condition still holds: of two processes that try, one gets it. Commits."""
        with self.sessions() as session:
            values = {"state": "running", "claim": self.token, "updated_at": int(time.time())}
            taken = session.execute(update(self.table).where(self.table.id == self.id, condition).values(**values))
            session.commit()
            return bool(taken.rowcount)  # type: ignore[attr-defined]

    def report(self, session: Session | None = None, **values: Any) -> None:
        """Write a heartbeat and the values, and commit what the session wrote before; raises Stopped if it is over."""
        self.reported_at = time.monotonic()
        with nullcontext(session) if session else self.sessions() as own:
            table = self.table
            mine = table.id == self.id, table.claim == self.token, table.state.in_(RUNNING)
            changed = own.execute(update(table).where(*mine).values(updated_at=int(time.time()), **values))
            if not changed.rowcount:  # type: ignore[attr-defined]
                own.rollback()
                raise Stopped("cancelled, deleted or claimed by another process")
            own.commit()
        if self.stop.is_set() and values.get("state", "running") in RUNNING:
            raise Stopped("shutting down")

    def finish(self, **values: Any) -> None:
        """Report that all is done; raises Stopped instead if a stop may have cut the work short."""
        self.report()
        self.report(state="done", **values)

    def report_sometimes(self, **values: Any) -> None:
        """Report if the last report is a while ago; a stop is noticed at once."""
        if self.stop.is_set() or time.monotonic() - self.reported_at > REPORT_EVERY_S:
            self.report(**values)

    def requeue(self, queued: str) -> None:
        """Give the row back to the queue, so that it goes on in the next process; nothing if the claim is lost."""
        with self.sessions() as session:
            mine = self.table.id == self.id, self.table.claim == self.token, self.table.state.in_(RUNNING)
            session.execute(update(self.table).where(*mine).values(state=queued, updated_at=int(time.time())))
            session.commit()


def claim_next(
    sessions: Sessions,
    table: type[Row],
    stop: threading.Event,
    queued: str = "queued",
    *conditions: ColumnElement[bool],
    can_run: Callable[[Any], bool] = lambda _row: True,
) -> Claim | None:
    """Return a claim on the oldest row that can run here; None if there is none."""
    with sessions() as session:
        condition = is_claimable(table, queued)
        order = Screening.made_at if table is Screening else Job.updated_at
        rows: Sequence[Any] = (
            session.execute(select(table).where(condition, *conditions).order_by(order)).scalars().all()
        )
        ids = [row.id for row in rows if can_run(row)]
    for row_id in ids:
        claim = Claim(sessions, table, row_id, stop)
        if claim.take(condition):
            return claim
    return None


def is_any_open(sessions: Sessions, table: type[Row], queued: str, *conditions: ColumnElement[bool]) -> bool:
    """Tell whether a row waits or runs anywhere."""
    with sessions() as session:
        is_open = table.state.in_((queued, *RUNNING))
        return session.execute(select(table.id).where(is_open, *conditions).limit(1)).first() is not None
