"""Links that share a screening, to read it or to decide as well. Only hashes of their secrets are stored."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models import Screening, ScreeningLink
from utils.messages import Refusal

MOST_LINKS = 20
LONGEST_LINK_NAME = 100


class CannotShare(Refusal):
    """A link that cannot be made."""


def create_link(
    session: Session, screening: Screening, name: str, *, may_decide: bool, made_by: int
) -> tuple[ScreeningLink, str]:
    """Store a link, and commit; return it with its secret, which is stored nowhere. Raises CannotShare.

    `made_by` is the id of the key of who makes it, or 0.
    """
    if not name.strip() or len(name) > LONGEST_LINK_NAME:
        raise CannotShare("name", most=LONGEST_LINK_NAME)
    counted = select(func.count()).select_from(ScreeningLink).where(ScreeningLink.screening_id == screening.id)
    if session.execute(counted).scalar_one() >= MOST_LINKS:
        raise CannotShare("links", most=MOST_LINKS)
    secret = secrets.token_urlsafe(24)
    link = ScreeningLink(
        id=secrets.randbits(53), screening_id=screening.id, hash=link_hash(secret), name=name.strip(),
        may_decide=may_decide, made_by=made_by, made_at=int(time.time()),
    )  # fmt: skip
    session.add(link)
    session.commit()
    return link, secret


def link_hash(secret: str) -> bytes:
    """Return what is stored of a secret of 192 random bits, which nobody guesses: a fast hash suffices."""
    return sha256(secret.encode("utf-8", "replace")).digest()


def find_link(session: Session, screening: int, secret: str) -> ScreeningLink | None:
    """Return the link to a screening with this secret; it is looked up by its hash, which tells nothing by its time."""
    if not secret:
        return None
    rows = select(ScreeningLink).where(ScreeningLink.screening_id == screening, ScreeningLink.hash == link_hash(secret))
    return session.execute(rows).scalars().first()


def list_links(session: Session, screening: int) -> Sequence[ScreeningLink]:
    """Return the links to a screening, newest first."""
    rows = select(ScreeningLink).where(ScreeningLink.screening_id == screening)
    return session.execute(rows.order_by(ScreeningLink.made_at.desc(), ScreeningLink.id)).scalars().all()


def revoke_link(session: Session, screening: int, link: int) -> None:
    """Delete a link, and commit: whoever has it is let in no more."""
    session.execute(delete(ScreeningLink).where(ScreeningLink.id == link, ScreeningLink.screening_id == screening))
    session.commit()
