"""What the pages and the API of screenings share."""

from __future__ import annotations

from typing import Any

from flask import Response, stream_with_context, url_for

from matching.aliases import Aliases
from models import Screening, db
from screening.columns import Column
from screening.export import csv_lines, json_lines
from screening.listing import Listing
from screening.results import ScreeningMatches
from web.access import is_admin
from web.current import runtime
from web.sessions import browser

NUMBER = "<int(max=9007199254740991):number>"


def wake() -> None:
    runtime().screenings.wake()


def columns_of(one: Screening) -> list[Column]:
    return [Column.of_json(kept) for kept in one.columns]


def screening_address(one: Screening, listing: Listing, **changes: object) -> str:
    parameters = listing.address(**changes)
    path = url_for("screenings.screening", number=one.id)
    return f"{path}?{parameters}" if parameters else path


def may_delete(one: Screening) -> bool:
    return is_admin() or (bool(browser()) and one.browser == browser())


def exported(one: Screening, listing: Listing, form: str, names: Aliases) -> Response:
    """Return all that a listing finds as a file, written while it is read."""
    found_all = ScreeningMatches(db.session(), one, listing, names).all()
    lines: Any = json_lines(one, found_all) if form == "json" else csv_lines(one, found_all)
    kind, end = ("application/json", "json") if form == "json" else ("text/csv; charset=utf-8", "csv")
    headers = {"Content-Disposition": f'attachment; filename="screening-{one.id}.{end}"'}
    return Response(stream_with_context(lines), content_type=kind, headers=headers)
