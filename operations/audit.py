"""The audit log: who did what, when and from where; never what somebody searched for."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models import AuditEntry

ACTIONS = (
    "sign-in", "sign-out", "key refused", "key made", "key revoked",
    "import", "import cancelled", "import undone", "document written", "document deleted", "document forgotten",
    "collection private", "collection public", "collection deleted",
    "screening begun", "screening run", "screening decided", "screening shared", "screening unshared",
    "screening deleted",
    "model switched", "model dropped", "restored", "retention",
)  # fmt: skip
VISITOR = "visitor"  # who has no key
LONGEST_WHO, LONGEST_CLIENT, LONGEST_WHAT = 120, 64, 400
MOST_OF_VISITORS = 50_000  # of all visitors together: nobody fills the database, or pushes out what keys did
FORGOTTEN = "forgotten"
_RANDOM_BITS = 10
log = logging.getLogger("matmon.audit")


def record(session: Session, action: str, what: str = "", who: str = VISITOR, client: str = "") -> None:
    """Store an entry, and commit. What was done stays done if the database takes no entry: the log has it then."""
    entry = {
        "id": (time.time_ns() // 1_000 << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS), "at": int(time.time()),
        "who": who[:LONGEST_WHO], "client": client[:LONGEST_CLIENT], "action": action, "what": what[:LONGEST_WHAT],
    }  # fmt: skip
    try:
        session.execute(insert(AuditEntry).values(**entry))
        session.commit()
    except DBAPIError as error:
        session.rollback()
        log.warning("not in the audit log: %s, %s, %s, %s: %s", who, client, action, what, str(error.orig)[:200])


def about_document(collection: str, own_id: str) -> str:
    """Return how entries name a document; see `forget_in_audit`."""
    return f"{collection}: {own_id}"


def about_profile(screening: int, own_id: str) -> str:
    """Return how entries name a profile in a screening; see `forget_in_audit`."""
    return f"screening {screening}: {own_id}"


def audit_entries(
    session: Session, *, action: str = "", who: str = "", since: int = 0, limit: int = 50, offset: int = 0
) -> Sequence[AuditEntry]:
    """Return entries, newest first: of an action, of who has this in the name, from a second since 1970 on."""
    rows = select(AuditEntry).where(AuditEntry.at >= since)
    if action:
        rows = rows.where(AuditEntry.action == action)
    if who:
        rows = rows.where(AuditEntry.who.contains(who, autoescape=True))
    rows = rows.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit).offset(offset)
    return session.execute(rows).scalars().all()


def forget_in_audit(session: Session, collection: str, own_id: str) -> int:
    """Take a document's id out of the entries that name it, and return how many did; the caller commits."""
    names_it = or_(
        AuditEntry.what == about_document(collection, own_id)[:LONGEST_WHAT],
        AuditEntry.what.startswith("screening ") & AuditEntry.what.endswith(f": {own_id}", autoescape=True),
    )
    changed = session.execute(update(AuditEntry).where(names_it).values(what=about_document(collection, FORGOTTEN)))
    return changed.rowcount  # type: ignore[attr-defined, no-any-return]


def delete_old_entries(session: Session, before: int) -> int:
    """Delete entries older than a second since 1970, and visitors' oldest beyond MOST_OF_VISITORS; commits."""
    of_visitors = select(AuditEntry.at).where(AuditEntry.who == VISITOR).order_by(AuditEntry.at.desc())
    last = session.execute(of_visitors.offset(MOST_OF_VISITORS).limit(1)).scalar()
    is_old = AuditEntry.at < before
    if last is not None:
        is_old = or_(is_old, (AuditEntry.who == VISITOR) & (AuditEntry.at <= last))
    deleted = session.execute(delete(AuditEntry).where(is_old))
    session.commit()
    return deleted.rowcount  # type: ignore[attr-defined, no-any-return]
