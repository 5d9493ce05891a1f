"""The page on which admins read the audit log."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from models import db
from operations.audit import ACTIONS, audit_entries
from search.query import Query, clean_text
from web.access import needs

audit_pages = Blueprint("audit", __name__)

A_PAGE, MOST_PAGES = 100, 1_000


@audit_pages.get("/audit")
@needs("admin")
def audit_page() -> str:
    action, who = request.args.get("action", ""), clean_text(request.args.get("who", ""))[:100]
    action = action if action in ACTIONS else ""
    page = min(max(request.args.get("page", 1, int), 1), MOST_PAGES)
    entries = audit_entries(db.session(), action=action, who=who, limit=A_PAGE + 1, offset=(page - 1) * A_PAGE)
    return render_template(
        "audit.html", query=Query(), entries=entries[:A_PAGE], has_more=len(entries) > A_PAGE, page=page,
        actions=ACTIONS, action=action, who=who,
    )  # fmt: skip
