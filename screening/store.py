"""Creates, lists, cancels, deletes and decides on screenings; the table is the single source of truth."""

from __future__ import annotations

import secrets
import time

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from indexes.access import is_hidden
from jobs.claims import set_state
from matching.jobs import RequiredSkill
from models import DECIDED, Collection, Screening, ScreeningResult, document_number, number
from screening.vocabulary import ScreenedJob, Unscreenable
from utils.messages import Refusal

KEPT_SCREENINGS = 50
KEPT_S = 180 * 86_400  # a screening not opened for this long may be deleted, with or without decisions
MOST_PROFILES = 100_000
MOST_RESULTS = 1_000_000  # of all screenings together: about 100 MB
STATUSES = ("new", "shortlisted", "rejected")
LONGEST_NOTE = 2_000
OPEN = ("waiting", "running")
SEEN_EVERY_S = 3_600


class NoteTooLong(Refusal):
    """A note longer than LONGEST_NOTE characters."""


def create_screening(session: Session, browser: int, job: ScreenedJob, profiles: str) -> Screening:
    """Store a screening that waits for a runner, and commit; raises Unscreenable."""
    total = _profiles(session, profiles)
    _make_room(session, total)
    now = int(time.time())
    screening = Screening(
        id=secrets.randbits(53), browser=browser, jobs=job.jobs, job_id=job.job_id, title=job.title,
        asked=[[item.name, item.weight, item.is_optional] for item in job.required], profiles=profiles,
        state="waiting", claim=0, done=0, total=total, version=0, basis="", vocabulary={}, columns=[], message="",
        made_at=now, updated_at=now, used_at=now,
    )  # fmt: skip
    session.add(screening)
    session.commit()
    return screening


def _profiles(session: Session, name: str) -> int:
    """Return the number of profiles in a collection; raises Unscreenable if they cannot be ranked."""
    rows = select(Collection.documents).where(Collection.id == number("collection", name))
    count = None if is_hidden(session, name) else session.execute(rows).scalar()
    if count is None:
        raise Unscreenable("no_collection", collection=name[:64])
    if not count:
        raise Unscreenable("no_profiles", collection=name[:64])
    if count > MOST_PROFILES:
        raise Unscreenable("too_many", most=f"{MOST_PROFILES:,}")
    return int(count)


def _make_room(session: Session, total: int) -> None:
    """Delete screenings not opened for KEPT_S, then the oldest without decisions; raises Unscreenable."""
    rows = select(Screening.id, Screening.used_at, Screening.state, Screening.total)
    stored = session.execute(rows.order_by(Screening.used_at)).all()
    decided = _decided(session)
    expired = [row for row in stored if time.time() - row.used_at > KEPT_S]
    free = [row for row in stored if row not in expired and row.id not in decided and row.state not in OPEN]
    left = [row for row in stored if row not in expired]
    while len(left) >= KEPT_SCREENINGS or sum(row.total for row in left) + total > MOST_RESULTS:
        if not free:
            raise Unscreenable("no_room", most=KEPT_SCREENINGS)
        expired.append(free.pop(0))
        left.remove(expired[-1])
    for row in expired:
        delete_screening(session, row.id)


def _decided(session: Session) -> set[int]:
    """Return the screenings with at least one decision."""
    return set(session.execute(select(ScreeningResult.screening_id).where(DECIDED).distinct()).scalars())


def screening_by_id(session: Session, screening: int) -> Screening | None:
    """Return a screening, or None; the time of the visit is stored at most every SEEN_EVERY_S seconds."""
    stored = session.get(Screening, screening)
    if stored is not None and time.time() - stored.used_at > SEEN_EVERY_S:
        stored.used_at = int(time.time())
        session.commit()
    return stored


def saved_screenings(session: Session, browser: int | None) -> list[Screening]:
    """Return a browser's screenings, newest first; all screenings for None."""
    rows = select(Screening) if browser is None else select(Screening).where(Screening.browser == browser)
    return list(session.execute(rows.order_by(Screening.made_at.desc(), Screening.id)).scalars())


def required_skills_of(screening: Screening) -> tuple[RequiredSkill, ...]:
    return tuple(RequiredSkill(name, weight, optional) for name, weight, optional in screening.asked)


def run_again(session: Session, screening: int) -> bool:
    """Resume a screening or rank what changed; False if it is already running or waiting. Commits."""
    return set_state(session, Screening, screening, "waiting", Screening.state.not_in(OPEN), message="")


def cancel(session: Session, screening: int) -> bool:
    """Stop a screening, keeping its results; False if it is neither running nor waiting. Commits."""
    return set_state(session, Screening, screening, "cancelled", Screening.state.in_(OPEN), message="")


def delete_screening(session: Session, screening: int) -> None:
    """Delete a screening with its results and decisions, and commit; a run in progress stops."""
    session.execute(delete(Screening).where(Screening.id == screening))
    session.execute(delete(ScreeningResult).where(ScreeningResult.screening_id == screening))
    session.commit()


def decide(session: Session, screening: Screening, own_id: str, status: str, note: str) -> bool:
    """Store the decision on a profile, and commit; False if it is not among the results.

    Raises NoteTooLong; a status is one of STATUSES.
    """
    if len(note) > LONGEST_NOTE:
        raise NoteTooLong("too_much.note", most=f"{LONGEST_NOTE:,}")
    conditions = (
        ScreeningResult.screening_id == screening.id,
        ScreeningResult.document_id == document_number(screening.profiles, own_id),
    )
    changed = session.execute(update(ScreeningResult).where(*conditions).values(status=status, note=note))
    session.commit()
    return bool(changed.rowcount)  # type: ignore[attr-defined]
