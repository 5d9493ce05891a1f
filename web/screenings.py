"""What pages and API share about screenings."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, stream_with_context, url_for

from indexes.access import is_hidden
from indexes.version import caught_up
from jobs.claims import is_cut_off
from models import Screening, db
from screening.columns import Column
from screening.export import csv_lines, json_lines
from screening.listing import Listing
from screening.results import ScreeningMatches
from screening.store import saved_screenings, screening_by_id
from web.access import is_admin
from web.current import runtime, skill_aliases
from web.sessions import browser

NUMBER = "<int(max=9007199254740991):number>"


def wake() -> None:
    runtime().screenings.wake()


def screening_or_404(number: int) -> Screening:
    """Return a screening that the caller may read; one that waits or was cut off is run."""
    caught_up(db.session())  # documents written by an older release count as new only from here on
    screening = readable_screening(number) or abort(404, "There is no such screening.")
    if screening.state == "waiting" or is_cut_off(screening):
        wake()
    return screening


def readable_screening(number: int) -> Screening | None:
    """Return a screening of collections that the caller may read."""
    screening = screening_by_id(db.session(), number)
    return screening if screening and may_read_collections(screening) else None


def may_read_collections(screening: Screening) -> bool:
    return not any(is_hidden(db.session(), name) for name in (screening.jobs, screening.profiles))


def visible_screenings(everything: bool) -> list[Screening]:
    """Return all screenings, or those of this browser, of collections that the caller may read."""
    stored = saved_screenings(db.session(), None if everything else browser()) if everything or browser() else []
    return list(filter(may_read_collections, stored))


def columns_of(screening: Screening) -> list[Column]:
    return [Column.of_json(stored) for stored in screening.columns]


def screening_address(screening: Screening, listing: Listing, **changes: object) -> str:
    parameters = listing.address(**changes)
    path = url_for("screenings.screening", number=screening.id)
    return f"{path}?{parameters}" if parameters else path


def may_delete(screening: Screening) -> bool:
    return is_admin() or (bool(browser()) and screening.browser == browser())


def exported(screening: Screening, listing: Listing, form: str) -> Response:
    """Return everything that a listing selects as a file, written while it is read."""
    results = ScreeningMatches(db.session(), screening, listing, skill_aliases()).all()
    lines: Any = json_lines(screening, results) if form == "json" else csv_lines(screening, results)
    kind, suffix = ("application/json", "json") if form == "json" else ("text/csv; charset=utf-8", "csv")
    headers = {"Content-Disposition": f'attachment; filename="screening-{screening.id}.{suffix}"'}
    return Response(stream_with_context(lines), content_type=kind, headers=headers)
