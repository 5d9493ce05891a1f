"""The pages of kept searches: a browser's own list, and what is new in each since it was last looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from flask import abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from indexing.versions import caught_up
from matching.listing import Listing
from matching.results import Found
from matching.screenings import found
from models import SavedSearch, Screening, db
from routes import address, mode_path, pages, semantic, skill_aliases
from screening_pages import NUMBER, columns_of, screening_address
from search.kept import (
    KEPT_S,
    LONGEST_ADDRESS,
    LONGEST_NAME,
    MOST_OF_BROWSER,
    Unkeepable,
    drop,
    keep,
    kept,
    looked_at,
    one_of,
)
from search.query import MODES, Query, clean
from search.search import WITHOUT_MEANING, search
from sessions import browser, browser_or_new

A_PAGE = 10  # kept searches whose news are counted at once
DAY_S = 86_400
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
    name = parts.path.removeprefix(url_for("pages.screenings") + "/")
    one = found(db.session(), int(name)) if name.isascii() and name.isdigit() and len(name) <= LONGEST_NUMBER else None
    return Target(screening=one, listing=Listing.from_args(args, columns_of(one))) if one else None


def news(one: SavedSearch, now: int) -> News:
    """Return how many documents of a kept search were written since it was looked at; no model is loaded for it."""
    asked = target(one.address)
    if asked is None:
        return News(one, is_gone=True)
    if one.version >= now:
        return News(one, 0)
    session = db.session()
    if asked.screening is not None:
        listing = replace(asked.listing, since=one.version)
        return News(one, Found(session, asked.screening, listing, skill_aliases()).count())
    side = semantic() if semantic().state == "ready" else WITHOUT_MEANING
    if asked.query.mode == "semantic" and side is WITHOUT_MEANING:
        return News(one, None)
    results = search(session, replace(asked.query, since=one.version, page=1, limit=1), side, 0)
    return News(one, results.total, results.total_is_exact)


def all_news(own: Sequence[SavedSearch]) -> list[News]:
    now = caught_up(db.session()) if own else 0
    return [news(one, now) for one in own]


@pages.get("/searches")
def searches() -> str:
    asked = target(request.args.get("save", "")) if request.args.get("save") else None
    return searches_page(asked, asked.name() if asked else "")


def searches_page(asked: Target | None, name: str, error: str = "") -> str:
    own = kept(db.session(), browser())
    page = min(max(request.args.get("page", 1, int), 1), max(-(-len(own) // A_PAGE), 1))
    return render_template(
        "searches.html", query=Query(), asked=asked, name=name, error=error, count=len(own), page=page,
        news=all_news(own[(page - 1) * A_PAGE : page * A_PAGE]), pages=-(-len(own) // A_PAGE), most=MOST_OF_BROWSER,
        days=KEPT_S // DAY_S, longest_name=LONGEST_NAME, here=lambda page: url_for("pages.searches", page=page),
    )  # fmt: skip


@pages.post("/searches")
def searches_keep() -> AnyResponse | tuple[str, int]:
    asked, name = target(request.form.get("address", "")), clean(request.form.get("name", ""))
    if asked is None:
        return searches_page(None, "", gettext("This is no search that can be kept.")), 422
    try:
        keep(db.session(), browser_or_new(), name or asked.name(), asked.address())
    except Unkeepable as error:
        return searches_page(asked, name, unkeepable(error)), 422
    return redirect(url_for("pages.searches"), 303)


def unkeepable(error: Unkeepable) -> str:
    """Return why a search cannot be kept, in the user's language."""
    said = {
        "name": gettext("A name has 1 to %(most)s characters.", most=LONGEST_NAME),
        "address": gettext("The search is too long to be kept: ask for less at once."),
        "full": gettext("There is no room for more kept searches: delete one first."),
    }
    return said[error.code]


def own_one(number: int) -> SavedSearch:
    one = one_of(db.session(), browser(), number)
    if one is None:
        abort(404)
    return one


@pages.post(f"/searches/{NUMBER}/run")
def searches_run(number: int) -> AnyResponse:
    """Lead to a kept search, whole or only what is new, and remember that it was looked at."""
    one = own_one(number)
    asked = target(one.address)
    if asked is None:
        abort(404)
    before = looked_at(db.session(), one)
    return redirect(asked.address(before if request.form.get("what") == "new" else 0), 303)


@pages.post(f"/searches/{NUMBER}/delete")
def searches_delete(number: int) -> AnyResponse:
    drop(db.session(), own_one(number))
    return redirect(url_for("pages.searches"), 303)
