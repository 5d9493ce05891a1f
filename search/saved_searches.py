"""Searches that a browser keeps under a name, and what is new in them. An address is a page's path and parameters."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from models import SavedSearch, State

MOST_OF_BROWSER = 50
MOST_KEPT = 20_000  # of all browsers together: some 5 MB
KEPT_S = 365 * 86_400  # since it was last looked at
FORGOTTEN_AT_ONCE = 500
LONGEST_NAME, LONGEST_ADDRESS = 100, 3_000


class Unkeepable(ValueError):
    """A search that cannot be kept: `code` says why, and the message what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def version(session: Session) -> int:
    """Return the version of what is stored now: what is written later has a greater one."""
    return session.execute(select(State.version).where(State.id == 1)).scalar_one()


def keep(session: Session, browser: int, name: str, address: str) -> SavedSearch:
    """Keep an address as of now, and commit; raises Unkeepable. The same address again takes the new name."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Unkeepable("name", f"a name has 1 to {LONGEST_NAME} characters")
    if len(address) > LONGEST_ADDRESS:
        raise Unkeepable("address", f"the search is longer than {LONGEST_ADDRESS} characters: ask for less at once")
    own = kept(session, browser)
    now = int(time.time())
    for one in own:
        if one.address == address:
            one.name, one.used_at = name.strip(), now
            session.commit()
            return one
    if len(own) >= MOST_OF_BROWSER:
        raise Unkeepable("full", f"{MOST_OF_BROWSER} searches are kept, as many as there may be: delete one first")
    purge(session)
    if session.execute(select(func.count()).select_from(SavedSearch)).scalar_one() >= MOST_KEPT:
        raise Unkeepable("full", "no more searches can be kept on this site now; keep the page's address instead")
    made = SavedSearch(
        id=secrets.randbits(53), browser=browser, name=name.strip(), address=address, version=version(session),
        made_at=now, used_at=now,
    )  # fmt: skip
    session.add(made)
    session.commit()
    return made


def purge(session: Session) -> None:
    """Forget what nobody looked at for KEPT_S, FORGOTTEN_AT_ONCE at most; what is left goes the next time."""
    old = select(SavedSearch.id).where(SavedSearch.used_at < int(time.time()) - KEPT_S).limit(FORGOTTEN_AT_ONCE)
    numbers = session.execute(old).scalars().all()
    if numbers:
        session.execute(delete(SavedSearch).where(SavedSearch.id.in_(numbers)))
        session.commit()


def kept(session: Session, browser: int) -> Sequence[SavedSearch]:
    """Return what a browser keeps, the newest first."""
    if not browser:
        return ()
    rows = select(SavedSearch).where(SavedSearch.browser == browser)
    return session.execute(rows.order_by(SavedSearch.made_at.desc(), SavedSearch.id)).scalars().all()


def one_of(session: Session, browser: int, number: int) -> SavedSearch | None:
    """Return one that a browser keeps; None where it is another's."""
    rows = select(SavedSearch).where(SavedSearch.id == number, SavedSearch.browser == browser)
    return session.execute(rows).scalar_one_or_none() if browser else None


def looked_at(session: Session, one: SavedSearch) -> int:
    """Remember that one was looked at now, commit, and return the version as of which it was looked at before."""
    before = one.version
    values = {"version": version(session), "used_at": int(time.time())}
    session.execute(update(SavedSearch).where(SavedSearch.id == one.id).values(**values))
    session.commit()
    return before


def drop(session: Session, one: SavedSearch) -> None:
    session.execute(delete(SavedSearch).where(SavedSearch.id == one.id))
    session.commit()
