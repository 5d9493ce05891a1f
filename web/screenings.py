"""What pages and API share about screenings."""

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


def columns_of(screening: Screening) -> list[Column]:
    return [Column.of_json(column) for column in screening.columns]


def screening_address(screening: Screening, listing: Listing, **changes: object) -> str:
    parameters = listing.address(**changes)
    path = url_for("screenings.screening", number=screening.id)
    return f"{path}?{parameters}" if parameters else path


def may_delete(screening: Screening) -> bool:
    return is_admin() or (bool(browser()) and screening.browser == browser())


def exported(screening: Screening, listing: Listing, form: str, names: Aliases) -> Response:
    """Return all rows of a listing as a file, streamed."""
    rows = ScreeningMatches(db.session(), screening, listing, names).all()
    lines: Any = json_lines(screening, rows) if form == "json" else csv_lines(screening, rows)
    kind, end = ("application/json", "json") if form == "json" else ("text/csv; charset=utf-8", "csv")
    headers = {"Content-Disposition": f'attachment; filename="screening-{screening.id}.{end}"'}
    return Response(stream_with_context(lines), content_type=kind, headers=headers)
