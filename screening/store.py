"""Creates, lists, cancels, deletes and decides on screenings; the table is the single source of truth."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from indexes.access import is_hidden
from jobs.claims import set_state
from matching.jobs import RequiredSkill
from models import DECIDED, Collection, Screening, ScreeningLink, ScreeningResult, document_number, number
from screening.vocabulary import ScreenedJob, Unscreenable
from utils.messages import Refusal

KEPT_SCREENINGS = 50  # of one owner, or of one client without a key
MOST_ANONYMOUS = 500  # of all who have no key together
MOST_PROFILES = 100_000
MOST_RESULTS = 1_000_000  # of a key's screenings, or of all without a key: about 100 MB
MOST_RESULTS_OF_CLIENT = 300_000  # of one client without a key
NOT_OPENED_S = 86_400  # before another's screening without decisions may give way
STATUSES = ("new", "shortlisted", "rejected")
LONGEST_NOTE, LONGEST_AUTHOR = 2_000, 120
OPEN = ("waiting", "running")
SEEN_EVERY_S = 3_600


class NoteTooLong(Refusal):
    """A note longer than LONGEST_NOTE characters."""


def create_screening(session: Session, owner: int, job: ScreenedJob, profiles: str, client: int = 0) -> Screening:
    """Store a screening that waits for a runner, and commit; raises Unscreenable.

    `owner` is the number of a browser, or of a key below zero; `client` is a hash of the browser's address.
    """
    total = _profiles(session, profiles)
    _make_room(session, owner, client, total)
    now = int(time.time())
    screening = Screening(
        id=secrets.randbits(53), browser=owner, client=client, jobs=job.jobs, job_id=job.job_id, title=job.title,
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


def _make_room(session: Session, owner: int, client: int, total: int) -> None:
    """Delete the owner's oldest screenings without decisions, as far as room is needed; raises Unscreenable.

    Whoever has no key shares room with all others who have none, and takes it from nobody who used it lately.
    """
    rows = select(
        Screening.id, Screening.browser, Screening.client, Screening.used_at, Screening.state, Screening.total
    )
    stored, now = session.execute(rows.order_by(Screening.used_at)).all(), time.time()
    decided = _decided(session)
    free = [row for row in stored if row.id not in decided and row.state not in OPEN]
    own = [row for row in stored if row.browser == owner or (client and row.client == client)]
    quota = _Quota(KEPT_SCREENINGS, MOST_RESULTS if owner < 0 else MOST_RESULTS_OF_CLIENT)
    gone = quota.too_many(own, free, total)
    if owner >= 0:
        anonymous = [row for row in stored if row.browser >= 0 and row not in gone]
        forgotten = [row for row in free if now - row.used_at > NOT_OPENED_S]
        gone += _Quota(MOST_ANONYMOUS, MOST_RESULTS, is_everybodys=True).too_many(anonymous, forgotten, total)
    for row in gone:
        delete_screening(session, row.id)


def delete_unopened_screenings(session: Session, before: int) -> int:
    """Delete screenings last opened before a second since 1970, with all decisions; commits, and returns how many."""
    unopened = select(Screening.id).where(Screening.used_at < before, Screening.state.not_in(OPEN))
    screenings = session.execute(unopened).scalars().all()
    for screening in screenings:
        delete_screening(session, screening)
    return len(screenings)


@dataclass(frozen=True, slots=True)
class _Quota:
    """How many screenings there may be, with how many results: of one owner, or of everybody without a key."""

    screenings: int
    results: int
    is_everybodys: bool = False

    def too_many(self, rows: Sequence[Any], free: Sequence[Any], total: int) -> list[Any]:
        """Return the oldest of the `free` rows that make room for a screening of `total`; raises Unscreenable."""
        left, gone = list(rows), []
        may_go = [row for row in rows if row in free]
        while len(left) >= self.screenings or sum(row.total for row in left) + total > self.results:
            if not may_go and self.is_everybodys:
                raise Unscreenable("no_room.everybody")
            if not may_go:
                raise Unscreenable("no_room", most=self.screenings)
            gone.append(may_go.pop(0))
            left.remove(gone[-1])
        return gone


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


def saved_screenings(session: Session, owners: Sequence[int] | None) -> list[Screening]:
    """Return the screenings of the owners, newest first; all screenings for None."""
    rows = select(Screening) if owners is None else select(Screening).where(Screening.browser.in_(owners))
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
    session.execute(delete(ScreeningLink).where(ScreeningLink.screening_id == screening))
    session.commit()


def decide(session: Session, screening: Screening, own_id: str, status: str, note: str, author: str = "") -> bool:
    """Store the decision on a profile, with author and time, and commit; False if it is not among the results.

    Raises NoteTooLong; a status is one of STATUSES.
    """
    if len(note) > LONGEST_NOTE:
        raise NoteTooLong("too_much.note", most=f"{LONGEST_NOTE:,}")
    conditions = (
        ScreeningResult.screening_id == screening.id,
        ScreeningResult.document_id == document_number(screening.profiles, own_id),
    )
    values = {"status": status, "note": note, "decided_by": author[:LONGEST_AUTHOR], "decided_at": int(time.time())}
    changed = session.execute(update(ScreeningResult).where(*conditions).values(**values))
    session.commit()
    return bool(changed.rowcount)  # type: ignore[attr-defined]
