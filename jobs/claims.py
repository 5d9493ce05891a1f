"""Claims on rows of background work: one process runs a row, reports its progress, and stops if it is cancelled."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models import Job, Screening

SILENT_S = 30  # after so long without a report a run is dead, and another process may claim its row
REPORT_EVERY_S = 0.5
RUNNING = ("running", "embedding")
Sessions = Callable[[], AbstractContextManager[Session]]
Row = Job | Screening


class Stopped(Exception):
    """The row was cancelled, deleted or claimed by another process, or this process is shutting down."""


def is_cut_off(row: Row) -> bool:
    """Tell whether the process that ran a row is gone; a report in the future predates a clock that was set back."""
    return row.state in RUNNING and abs(time.time() - row.updated_at) > SILENT_S


def is_claimable(table: type[Row], queued: str) -> ColumnElement[bool]:
    """Return the condition for rows that are queued, or whose process is gone."""
    now = int(time.time())
    is_silent = not_(table.updated_at.between(now - SILENT_S, now + SILENT_S))
    return or_(table.state == queued, and_(table.state.in_(RUNNING), is_silent))


@dataclass(slots=True)
class Claim:
    """The right to run one row, valid while the row has this token and is running."""

    sessions: Sessions
    table: type[Row]
    id: int
    stop: threading.Event
    token: int = field(default_factory=lambda: secrets.randbits(53))
    reported_at: float = 0.0

    @property
    def _is_mine(self) -> tuple[ColumnElement[bool], ...]:
        return self.table.id == self.id, self.table.claim == self.token, self.table.state.in_(RUNNING)

    def take(self, condition: ColumnElement[bool]) -> bool:
        """Claim the row if the condition still holds, and commit; if two processes try, one succeeds."""
        with self.sessions() as session:
            values = {"state": "running", "claim": self.token, "updated_at": int(time.time())}
            taken = session.execute(update(self.table).where(self.table.id == self.id, condition).values(**values))
            session.commit()
            return bool(taken.rowcount)  # type: ignore[attr-defined]

    def report(self, session: Session | None = None, **values: Any) -> None:
        """Store a heartbeat and the values, and commit; raises Stopped if the claim is lost."""
        self.reported_at = time.monotonic()
        with nullcontext(session) if session else self.sessions() as own:
            statement = update(self.table).where(*self._is_mine).values(updated_at=int(time.time()), **values)
            changed = own.execute(statement)
            if not changed.rowcount:  # type: ignore[attr-defined]
                own.rollback()
                raise Stopped("cancelled, deleted or claimed by another process")
            own.commit()
        if self.stop.is_set() and values.get("state", "running") in RUNNING:
            raise Stopped("shutting down")

    def finish(self, **values: Any) -> None:
        """Report that the work is done; raises Stopped instead if a stop may have cut it short."""
        self.report()
        self.report(state="done", **values)

    def report_sometimes(self, **values: Any) -> None:
        """Report at most every REPORT_EVERY_S seconds; a stop is noticed at once."""
        if self.stop.is_set() or time.monotonic() - self.reported_at > REPORT_EVERY_S:
            self.report(**values)

    def requeue(self, queued: str) -> None:
        """Return the row to the queue for the next process; do nothing if the claim is lost."""
        with self.sessions() as session:
            values = {"state": queued, "updated_at": int(time.time())}
            session.execute(update(self.table).where(*self._is_mine).values(**values))
            session.commit()

    def requeue_later(self, queued: str) -> None:
        """Return the row to the queue now or, if that cannot be stored, when the claim has been silent for SILENT_S."""
        with suppress(SQLAlchemyError):
            self.requeue(queued)


@dataclass(frozen=True)
class Queue:
    """The rows of one kind of work that this process can run."""

    sessions: Sessions
    table: type[Row]
    queued: str = "queued"  # the state of a row that waits
    conditions: tuple[ColumnElement[bool], ...] = ()
    can_run: Callable[[Any], bool] = lambda _row: True

    def claim_next(self, stop: threading.Event, *conditions: ColumnElement[bool]) -> Claim | None:
        """Return a claim on the oldest row that is queued or whose process is gone; None if there is none."""
        condition = is_claimable(self.table, self.queued)
        for row_id in self._ids(condition, *conditions):
            claim = Claim(self.sessions, self.table, row_id, stop)
            if claim.take(condition):
                return claim
        return None

    def is_open(self) -> bool:
        """Tell whether a row is queued, or running in any process."""
        return bool(self._ids(self.table.state.in_((self.queued, *RUNNING))))

    def _ids(self, *conditions: ColumnElement[bool]) -> list[int]:
        order = Screening.made_at if self.table is Screening else Job.updated_at
        statement = select(self.table).where(*self.conditions, *conditions).order_by(order)
        with self.sessions() as session:
            rows: Sequence[Any] = session.execute(statement).scalars().all()
            return [row.id for row in rows if self.can_run(row)]


def set_state(
    session: Session, table: type[Row], row_id: int, state: str, *conditions: ColumnElement[bool], **values: Any
) -> bool:
    """Set the state of a row that meets the conditions, and commit; a run in progress loses its claim."""
    values |= {"state": state, "claim": 0, "updated_at": int(time.time())}
    changed = session.execute(update(table).where(table.id == row_id, *conditions).values(**values))
    session.commit()
    return bool(changed.rowcount)  # type: ignore[attr-defined]
