"""Entries of the audit log about the current request."""

from __future__ import annotations

from models import db
from operations.audit import VISITOR, record
from web.access import caller
from web.clients import client


def record_request(action: str, what: str = "", who: str = "") -> None:
    """Store that the caller, or who is named, did something; commits."""
    record(db.session(), action, what, who or caller().name or VISITOR, client())
