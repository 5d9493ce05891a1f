"""Saved searches of a browser, and what is new in them. An address is a page's path and parameters."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from models import SavedSearch, State
from utils.messages import Refusal

MOST_OF_BROWSER = 50  # of one owner
MOST_OF_CLIENT = 200  # of one client without a key: several people may share an address
MAX_SAVED = 20_000  # of all who have no key together: about 5 MB
DELETED_AT_ONCE = 500
LONGEST_NAME, LONGEST_ADDRESS = 100, 3_000


class CannotSave(Refusal):
    """A search cannot be saved."""


def current_version(session: Session) -> int:
    """Return the data version; later writes have a greater one."""
    return session.execute(select(State.version).where(State.id == 1)).scalar_one()


def save_search(session: Session, owner: int, name: str, address: str, client: int = 0) -> SavedSearch:
    """Save an address as of now, and commit; an address already saved is renamed. Raises CannotSave.

    `owner` is the number of a browser, or of a key below zero; `client` is a hash of the browser's address.
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise CannotSave("name", most=LONGEST_NAME)
    if len(address) > LONGEST_ADDRESS:
        raise CannotSave("address")
    own = saved_searches(session, (owner,))
    now = int(time.time())
    for search in own:
        if search.address == address:
            search.name, search.used_at = name.strip(), now
            session.commit()
            return search
    if len(own) >= MOST_OF_BROWSER or (client and _count(session, SavedSearch.client == client) >= MOST_OF_CLIENT):
        raise CannotSave("full")
    if owner >= 0 and _count(session, SavedSearch.browser >= 0) >= MAX_SAVED:
        raise CannotSave("full")
    search = SavedSearch(
        id=secrets.randbits(53), browser=owner, client=client, name=name.strip(), address=address,
        version=current_version(session), made_at=now, used_at=now,
    )  # fmt: skip
    session.add(search)
    session.commit()
    return search


def _count(session: Session, condition: ColumnElement[bool]) -> int:
    return session.execute(select(func.count()).select_from(SavedSearch).where(condition)).scalar_one()


def delete_old_searches(session: Session, before: int) -> int:
    """Delete searches last viewed before a second since 1970, some at a time; commits, and returns how many."""
    old, deleted = select(SavedSearch.id).where(SavedSearch.used_at < before).limit(DELETED_AT_ONCE), 0
    while numbers := session.execute(old).scalars().all():
        session.execute(delete(SavedSearch).where(SavedSearch.id.in_(numbers)))
        session.commit()
        deleted += len(numbers)
    session.rollback()
    return deleted


def saved_searches(session: Session, owners: Sequence[int]) -> Sequence[SavedSearch]:
    """Return the saved searches of the owners, newest first."""
    if not owners:
        return ()
    rows = select(SavedSearch).where(SavedSearch.browser.in_(owners))
    return session.execute(rows.order_by(SavedSearch.made_at.desc(), SavedSearch.id)).scalars().all()


def saved_search(session: Session, owners: Sequence[int], number: int) -> SavedSearch | None:
    """Return one of the owners' saved searches; None if it belongs to another."""
    rows = select(SavedSearch).where(SavedSearch.id == number, SavedSearch.browser.in_(owners))
    return session.execute(rows).scalar_one_or_none() if owners else None


def mark_viewed(session: Session, search: SavedSearch) -> int:
    """Mark a search as viewed now, commit, and return the data version when it was viewed before."""
    before = search.version
    values = {"version": current_version(session), "used_at": int(time.time())}
    session.execute(update(SavedSearch).where(SavedSearch.id == search.id).values(**values))
    session.commit()
    return before


def delete_search(session: Session, search: SavedSearch) -> None:
    session.execute(delete(SavedSearch).where(SavedSearch.id == search.id))
    session.commit()
