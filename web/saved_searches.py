"""Saved searches as pages and API show them: what an address asks for, and what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from flask import abort, url_for
from werkzeug.datastructures import MultiDict

from indexes.version import caught_up
from models import SavedSearch, Screening, db
from screening.listing import Listing
from screening.results import ScreeningMatches
from screening.store import screening_by_id
from search.query import MODES, Query
from search.saved_searches import LONGEST_ADDRESS, LONGEST_NAME, saved_search
from search.search import WITHOUT_MEANING, search
from web.addresses import address, mode_path
from web.current import semantic, skill_aliases
from web.screenings import columns_of, screening_address
from web.sessions import browser

LONGEST_NUMBER = 16  # digits of a screening's


@dataclass(frozen=True, slots=True)
class Target:
    """What an address asks for: a search, or a list of a screening."""

    query: Query = field(default_factory=Query)
    screening: Screening | None = None
    listing: Listing = field(default_factory=Listing)

    def address(self, since: int = 0) -> str:
        """Return the canonical address, with `since` only of what was written after that version."""
        changes = {"page": "", "limit": "", "since": since or ""}
        if self.screening is not None:
            return screening_address(self.screening, self.listing, **changes)
        return address(self.query, **changes)

    def name(self) -> str:
        asked = self.query
        words = [asked.text, *asked.tags, asked.collection, asked.language, *(f"-{tag}" for tag in asked.not_tags)]
        if self.screening is not None:
            words = [self.screening.title, *self.listing.skills, *self.listing.statuses]
        return (" · ".join(word for word in words if word) or self.address())[:LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class News:
    """A kept search, and how many of its documents are new: None where only the model could tell, or it is gone."""

    kept: SavedSearch
    count: int | None = None
    is_exact: bool = True
    is_gone: bool = False


def target(given: str) -> Target | None:
    """Return what an address of this site asks for; None for one that asks for nothing that can be kept."""
    parts = urlsplit(given[:LONGEST_ADDRESS])
    args: MultiDict[str, str] = MultiDict(parse_qsl(parts.query))
    modes = {mode_path(mode): mode for mode in MODES}
    if parts.scheme or parts.netloc:
        return None
    if parts.path in modes:
        query = replace(Query.from_args(args), mode=modes[parts.path])
        return None if query.is_empty() and not query.collection and not query.language else Target(query)
    name = parts.path.removeprefix(url_for("screenings.screenings") + "/")
    screening = (
        screening_by_id(db.session(), int(name))
        if name.isascii() and name.isdigit() and len(name) <= LONGEST_NUMBER
        else None
    )
    return Target(screening=screening, listing=Listing.from_args(args, columns_of(screening))) if screening else None


def search_or_404(number: int) -> SavedSearch:
    return saved_search(db.session(), browser(), number) or abort(404, "This browser has saved no such search.")


def news(one: SavedSearch, now: int) -> News:
    """Return how many documents of a kept search were written since it was looked at; no model is loaded for it."""
    wanted = target(one.address)
    if wanted is None:
        return News(one, is_gone=True)
    if one.version >= now:
        return News(one, 0)
    session = db.session()
    if wanted.screening is not None:
        listing = replace(wanted.listing, since=one.version)
        return News(one, ScreeningMatches(session, wanted.screening, listing, skill_aliases()).count())
    side = semantic() if semantic().state == "ready" else WITHOUT_MEANING
    if wanted.query.mode == "semantic" and side is WITHOUT_MEANING:
        return News(one, None)
    results = search(session, replace(wanted.query, since=one.version, page=1, limit=1), side, 0)
    return News(one, results.total, results.total_is_exact)


def all_news(own: Sequence[SavedSearch]) -> list[News]:
    now = caught_up(db.session()) if own else 0
    return [news(one, now) for one in own]
