"""What pages and API share about screenings."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request, stream_with_context, url_for

from indexes.access import is_hidden
from indexes.version import caught_up
from jobs.claims import is_cut_off
from models import Screening, ScreeningLink, db
from operations.keys import ADMIN_TOKEN_ID, usable_key
from screening.columns import Column
from screening.export import csv_lines, json_lines
from screening.links import find_link
from screening.listing import Listing
from screening.results import ScreeningMatches
from screening.store import saved_screenings, screening_by_id
from web.access import caller, is_admin
from web.current import runtime, skill_aliases
from web.owners import owners

RIGHTS = ("", "read", "decide", "own")
LONGEST_SECRET = 64
NUMBER = "<int(max=9007199254740991):number>"


def wake() -> None:
    runtime().screenings.wake()


def screening_or_404(number: int, right: str = "read") -> Screening:
    """Return a screening on which the caller has a right: `read`, `decide` or `own`; one that waits is run.

    Without any right it is as if there were none; without this one, the answer is 403.
    """
    caught_up(db.session())  # documents written by an older release count as new only from here on
    screening = readable_screening(number) or abort(404, "There is no such screening.")
    if RIGHTS.index(right_to(screening)) < RIGHTS.index(right):
        abort(403, "This screening was shared with you to read." if right == "decide" else "It is not your screening.")
    if screening.state == "waiting" or is_cut_off(screening):
        wake()
    return screening


def readable_screening(number: int) -> Screening | None:
    """Return a screening on which the caller has any right."""
    screening = screening_by_id(db.session(), number)
    return screening if screening and right_to(screening) else None


def right_to(screening: Screening) -> str:
    """Return the caller's right on a screening: its owner's or an admin's, else that of the link in the address."""
    if may_read_collections(screening) and (is_admin() or screening.browser in owners()):
        return "own"
    link = shared_link(screening)
    if link is None or not (may_read_collections(screening) or opens_collections(link, screening)):
        return ""
    return "decide" if link.may_decide else "read"


def shared_link(screening: Screening) -> ScreeningLink | None:
    return find_link(db.session(), screening.id, share_secret())


def may_read_collections(screening: Screening) -> bool:
    return not any(is_hidden(db.session(), name) for name in (screening.jobs, screening.profiles))


def opens_collections(link: ScreeningLink, screening: Screening) -> bool:
    """Whether a link to private collections still opens them: the key of who made it must be usable, and do so."""
    if link.made_by == ADMIN_TOKEN_ID:
        return True
    key = usable_key(db.session(), link.made_by)
    if key is None or not {"match", "admin"} & set(key.scopes):
        return False
    return not key.collections or {screening.jobs, screening.profiles} <= set(key.collections)


def author_of(screening: Screening) -> str:
    """Return who decides: a key, or the link that was followed; nothing for the browser that began the screening."""
    link = None if caller().key else shared_link(screening)
    return caller().name or (f"link {link.name}" if link else "")


def visible_screenings(everything: bool) -> list[Screening]:
    """Return all screenings, or those of the caller, of collections that the caller may read."""
    stored = saved_screenings(db.session(), None if everything else owners()) if everything or owners() else []
    return list(filter(may_read_collections, stored))


def columns_of(screening: Screening) -> list[Column]:
    return [Column.of_json(stored) for stored in screening.columns]


def screening_address(screening: Screening, listing: Listing, **changes: object) -> str:
    """Return the address of a screening's page, with the secret of the link by which it was reached."""
    end = str(changes.pop("end", "screening"))
    parameters = listing.address(**changes)
    path = url_for(f"screenings.{end}", number=screening.id, share=share_secret() or None)
    return f"{path}{'&' if '?' in path else '?'}{parameters}" if parameters else path


def share_secret() -> str:
    """Return the secret of the link by which a screening was reached; empty if it was reached otherwise."""
    return request.args.get("share", "")[:LONGEST_SECRET]


def exported(screening: Screening, listing: Listing, form: str) -> Response:
    """Return everything that a listing selects as a file, written while it is read."""
    results = ScreeningMatches(db.session(), screening, listing, skill_aliases()).all()
    lines: Any = json_lines(screening, results) if form == "json" else csv_lines(screening, results)
    kind, suffix = ("application/json", "json") if form == "json" else ("text/csv; charset=utf-8", "csv")
    headers = {"Content-Disposition": f'attachment; filename="screening-{screening.id}.{suffix}"'}
    return Response(stream_with_context(lines), content_type=kind, headers=headers)
