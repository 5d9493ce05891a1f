"""API keys: made, listed, found, revoked. Only their hashes are stored."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models import ApiKey
from utils.messages import Refusal

SCOPES = ("read", "write", "match", "admin")
LONGEST_KEY_NAME = 100
MOST_KEYS = 1_000
USED_EVERY_S, DAY_S = 60, 86_400
ADMIN_TOKEN_ID = 1  # the key of ADMIN_TOKEN, which has no row
_ID_BITS = 48
_KEY = re.compile(r"matmon_([0-9a-f]{1,12})_[A-Za-z0-9_-]{43}")


class KeyRefused(Refusal):
    """A key that cannot be made."""


def create_key(
    session: Session,
    name: str,
    scopes: Sequence[str],
    collections: Sequence[str] = (),
    expires_at: int | None = None,
) -> tuple[ApiKey, str]:
    """Store a key, and commit; return it with its text, which is stored nowhere. Raises KeyRefused."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise KeyRefused("key.scopes", scopes=", ".join(SCOPES))
    if not name.strip() or len(name) > LONGEST_KEY_NAME:
        raise KeyRefused("name", most=LONGEST_KEY_NAME)
    if "admin" in scopes and collections:
        raise KeyRefused("key.admin")
    if len(list_keys(session)) >= MOST_KEYS:
        raise KeyRefused("key.full", most=MOST_KEYS)
    key_id = secrets.randbits(_ID_BITS - 1) + ADMIN_TOKEN_ID + 1
    key_text = f"matmon_{key_id:x}_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        id=key_id, name=name.strip(), hash=key_hash(key_text), scopes=sorted(set(scopes), key=SCOPES.index),
        collections=list(dict.fromkeys(collections)), made_at=int(time.time()), expires_at=expires_at,
    )  # fmt: skip
    session.add(key)
    session.commit()
    return key, key_text


def about_key(key: ApiKey) -> str:
    """Return how the audit log names a key, with what it opens."""
    where = ", ".join(key.collections) or "all collections"
    return f"{key.name} ({', '.join(key.scopes)}; {where})"


def end_of_day(day: str) -> int | None:
    """Return the last second of a day such as 2030-12-31, by UTC; None without one. Raises KeyRefused."""
    if not day:
        return None
    try:
        ends = int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) + DAY_S - 1
    except ValueError:
        raise KeyRefused("key.day") from None
    if ends < time.time():
        raise KeyRefused("key.day")
    return ends


def key_hash(key_text: str) -> bytes:
    """Return the hash that is stored: SHA-256 suffices, since nobody guesses 256 random bits, however fast they try."""
    return sha256(key_text.encode()).digest()


def is_key_text(text: str) -> bool:
    """Whether a text has the form of a key."""
    return _KEY.fullmatch(text) is not None


def find_key(session: Session, key_text: str) -> ApiKey | None:
    """Return the usable key with this text, compared in constant time."""
    match = _KEY.fullmatch(key_text)
    key = usable_key(session, int(match[1], 16)) if match else None
    return key if key and hmac.compare_digest(key.hash, key_hash(key_text)) else None


def usable_key(session: Session, key_id: int) -> ApiKey | None:
    """Return a key that is neither revoked nor expired."""
    key = session.get(ApiKey, key_id)
    if key is None or key.revoked_at is not None:
        return None
    return key if key.expires_at is None or key.expires_at > time.time() else None


def note_use(session: Session, key: ApiKey) -> None:
    """Store that a key is used now, at most every USED_EVERY_S seconds; a database that only reads is no obstacle."""
    now = int(time.time())
    if key.used_at is not None and now - key.used_at < USED_EVERY_S:
        return
    try:
        session.execute(update(ApiKey).where(ApiKey.id == key.id).values(used_at=now))
        session.commit()
    except DBAPIError:
        session.rollback()


def list_keys(session: Session) -> Sequence[ApiKey]:
    """Return the keys that are not revoked, newest first; those that expired too."""
    rows = select(ApiKey).where(ApiKey.revoked_at.is_(None))
    return session.execute(rows.order_by(ApiKey.made_at.desc(), ApiKey.id)).scalars().all()


def revoke_key(session: Session, key_id: int) -> ApiKey | None:
    """Revoke a key, and commit; None if there is no such key, or it was revoked before."""
    key = session.get(ApiKey, key_id)
    if key is None or key.revoked_at is not None:
        return None
    key.revoked_at = int(time.time())
    session.commit()
    return key
