"""Screenings as they are kept: begun, found, decided upon, cancelled, forgotten. True is what the table says."""

from __future__ import annotations

import secrets
import time
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from matching.jobs import Asked
from models import DECIDED, Collection, Screening, ScreeningResult, document_number, number
from screening.vocabulary import Unscreenable, Wanted

KEPT_SCREENINGS = 50
KEPT_S = 180 * 86_400  # one that was not opened for so long gives way, decided upon or not
MOST_PROFILES = 100_000
MOST_RESULTS = 1_000_000  # of all screenings together: some 100 MB
STATUSES = ("new", "shortlisted", "rejected")
LONGEST_NOTE = 2_000
OPEN = ("waiting", "running")
SEEN_EVERY_S = 3_600


class NoteTooLong(ValueError):
    """A note of more than LONGEST_NOTE characters."""


def begin(session: Session, browser: int, wanted: Wanted, profiles: str) -> Screening:
    """Store a screening that waits for its run, and commit; raises Unscreenable."""
    total = _profiles(session, profiles)
    _make_room(session, total)
    now = int(time.time())
    screening = Screening(
        id=secrets.randbits(53), browser=browser, jobs=wanted.jobs, job_id=wanted.job_id, title=wanted.title,
        asked=[[one.name, one.weight, one.is_optional] for one in wanted.asked], profiles=profiles,
        state="waiting", claim=0, done=0, total=total, version=0, basis="", vocabulary={}, columns=[], message="",
        made_at=now, updated_at=now, used_at=now,
    )  # fmt: skip
    session.add(screening)
    session.commit()
    return screening


def _profiles(session: Session, name: str) -> int:
    """Return how many profiles a collection has; raises Unscreenable where none can be ranked."""
    rows = select(Collection.documents).where(Collection.id == number("collection", name))
    count = session.execute(rows).scalar()
    if count is None:
        raise Unscreenable("no_collection", f"There is no collection {name[:64]!r}.")
    if not count:
        raise Unscreenable("no_profiles", f"The collection {name[:64]!r} is empty: import profiles first.")
    if count > MOST_PROFILES:
        much = f"The collection {name[:64]!r} has {count} profiles, and a screening takes {MOST_PROFILES}"
        raise Unscreenable("too_many", f"{much}: import those that are meant as a collection of their own.")
    return int(count)


def _make_room(session: Session, total: int) -> None:
    """Forget what nobody opened for KEPT_S, then the oldest without a decision; raises Unscreenable."""
    rows = select(Screening.id, Screening.used_at, Screening.state, Screening.total)
    kept = session.execute(rows.order_by(Screening.used_at)).all()
    decided = _decided(session)
    going = [row for row in kept if time.time() - row.used_at > KEPT_S]
    free = [row for row in kept if row not in going and row.id not in decided and row.state not in OPEN]
    left = [row for row in kept if row not in going]
    while len(left) >= KEPT_SCREENINGS or sum(row.total for row in left) + total > MOST_RESULTS:
        if not free:
            said = f"{len(kept)} screenings that run or have decisions are kept here, as much as there may be"
            raise Unscreenable("no_room", f"{said}: delete one that is no longer needed.")
        going.append(free.pop(0))
        left.remove(going[-1])
    for row in going:
        forget(session, row.id)


def _decided(session: Session) -> set[int]:
    """Return the screenings in which somebody decided something."""
    return set(session.execute(select(ScreeningResult.screening_id).where(DECIDED).distinct()).scalars())


def found(session: Session, screening: int) -> Screening | None:
    """Return a screening, and remember now and then that somebody looks at it."""
    one = session.get(Screening, screening)
    if one is not None and time.time() - one.used_at > SEEN_EVERY_S:
        one.used_at = int(time.time())
        session.commit()
    return one


def listed(session: Session, browser: int | None) -> list[Screening]:
    """Return a browser's screenings, the newest first; all of them for None."""
    rows = select(Screening) if browser is None else select(Screening).where(Screening.browser == browser)
    return list(session.execute(rows.order_by(Screening.made_at.desc(), Screening.id)).scalars())


def asked_of(screening: Screening) -> tuple[Asked, ...]:
    return tuple(Asked(name, weight, optional) for name, weight, optional in screening.asked)


def run_again(session: Session, screening: int) -> bool:
    """Let a screening go on, or rank what changed; False where it runs or waits already. Commits."""
    return _turn(session, screening, "waiting", Screening.state.not_in(OPEN))


def cancel(session: Session, screening: int) -> bool:
    """Stop a screening: what was ranked stays. False where it neither runs nor waits. Commits."""
    return _turn(session, screening, "cancelled", Screening.state.in_(OPEN))


def _turn(session: Session, screening: int, state: str, condition: ColumnElement[bool]) -> bool:
    values: dict[str, Any] = {"state": state, "claim": 0, "message": "", "updated_at": int(time.time())}
    changed = session.execute(update(Screening).where(Screening.id == screening, condition).values(**values))
    session.commit()
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def forget(session: Session, screening: int) -> None:
    """Delete a screening with its results and decisions, and commit: its run, if there is one, stops."""
    session.execute(delete(Screening).where(Screening.id == screening))
    session.execute(delete(ScreeningResult).where(ScreeningResult.screening_id == screening))
    session.commit()


def decide(session: Session, screening: Screening, own_id: str, status: str, note: str) -> bool:
    """Keep what was decided of a profile, and commit; False where it is not among the results.

    Raises NoteTooLong; a status is one of STATUSES.
    """
    if len(note) > LONGEST_NOTE:
        raise NoteTooLong(f"a note of {len(note)} characters: at most {LONGEST_NOTE}")
    here = (
        ScreeningResult.screening_id == screening.id,
        ScreeningResult.document_id == document_number(screening.profiles, own_id),
    )
    changed = session.execute(update(ScreeningResult).where(*here).values(status=status, note=note))
    session.commit()
    return bool(changed.rowcount)  # type: ignore[attr-defined]
