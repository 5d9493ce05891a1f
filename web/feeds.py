"""A search as an Atom feed (RFC 4287): its newest matches, for a feed reader."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from flask import Response, render_template
from sqlalchemy import select

from models import Document, db
from search.query import Query
from utils.sql import among
from web.current import search_results

ENTRIES = 30
# Characters that XML 1.0 does not have, however they are written.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def feed(query: Query) -> Response:
    """Return a search's newest documents as a feed; each entry's id is its address."""
    newest = replace(query, sort="newest", page=1, limit=ENTRIES)
    results = search_results(newest)
    numbers = [hit.number for hit in results.hits]
    rows = select(Document.id, Document.added_at, Document.changed_at).where(among(Document.id, numbers))
    times = {row.id: (xml_time(row.added_at), xml_time(row.changed_at)) for row in db.session.execute(rows)}
    entries = [(hit, *times[hit.number]) for hit in results.hits if hit.number in times]
    updated = max((changed for _, _, changed in entries), default=xml_time(0))
    text = render_template("feed.xml", query=newest, entries=entries, updated=updated)
    return Response(_NOT_XML.sub(" ", text), content_type="application/atom+xml; charset=utf-8")


def xml_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
