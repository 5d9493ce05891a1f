"""What pages and API share about saved searches: the search behind an address, and how many matches are new."""

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
from search.query import MODES, Query
from search.saved_searches import LONGEST_ADDRESS, LONGEST_NAME, saved_search
from search.search import WITHOUT_MEANING, search
from web.addresses import address, mode_path
from web.current import semantic, skill_aliases
from web.owners import owners
from web.screenings import columns_of, readable_screening, screening_address

LONGEST_NUMBER = 16  # digits of a screening's


@dataclass(frozen=True, slots=True)
class Target:
    """The search, or the list of a screening, behind an address."""

    query: Query = field(default_factory=Query)
    screening: Screening | None = None
    listing: Listing = field(default_factory=Listing)

    def address(self, since: int = 0) -> str:
        """Return the canonical address; `since` restricts it to what was written after that version."""
        changes = {"page": "", "limit": "", "since": since or ""}
        if self.screening is not None:
            return screening_address(self.screening, self.listing, **changes)
        return address(self.query, **changes)

    def name(self) -> str:
        query = self.query
        words = [query.text, *query.tags, query.collection, query.language, *(f"-{tag}" for tag in query.not_tags)]
        if self.screening is not None:
            words = [self.screening.title, *self.listing.skills, *self.listing.statuses]
        return (" · ".join(word for word in words if word) or self.address())[:LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class News:
    """A saved search and its number of new matches: None if it needs the model, or the screening is gone."""

    kept: SavedSearch
    count: int | None = None
    is_exact: bool = True
    is_gone: bool = False


def target(url: str) -> Target | None:
    """Return the target of a URL of this site; None if it is not a search that can be saved."""
    parts = urlsplit(url[:LONGEST_ADDRESS])
    args: MultiDict[str, str] = MultiDict(parse_qsl(parts.query))
    modes = {mode_path(mode): mode for mode in MODES}
    if parts.scheme or parts.netloc:
        return None
    if parts.path in modes:
        query = replace(Query.from_args(args), mode=modes[parts.path])
        return None if query.is_empty() and not query.collection and not query.language else Target(query)
    name = parts.path.removeprefix(url_for("screenings.screenings") + "/")
    is_number = name.isascii() and name.isdigit() and len(name) <= LONGEST_NUMBER
    screening = readable_screening(int(name)) if is_number else None
    return Target(screening=screening, listing=Listing.from_args(args, columns_of(screening))) if screening else None


def search_or_404(number: int) -> SavedSearch:
    return saved_search(db.session(), owners(), number) or abort(404, "This browser has saved no such search.")


def news(saved: SavedSearch, version: int) -> News:
    """Return how many matches were written since the search was last opened; this loads no model."""
    wanted = target(saved.address)
    if wanted is None:
        return News(saved, is_gone=True)
    if saved.version >= version:
        return News(saved, 0)
    session = db.session()
    if wanted.screening is not None:
        listing = replace(wanted.listing, since=saved.version)
        return News(saved, ScreeningMatches(session, wanted.screening, listing, skill_aliases()).count())
    side = semantic() if semantic().state == "ready" else WITHOUT_MEANING
    if wanted.query.mode == "semantic" and side is WITHOUT_MEANING:
        return News(saved, None)
    results = search(session, replace(wanted.query, since=saved.version, page=1, limit=1), side, 0)
    return News(saved, results.total, results.total_is_exact)


def all_news(searches: Sequence[SavedSearch]) -> list[News]:
    version = caught_up(db.session()) if searches else 0
    return [news(saved, version) for saved in searches]
