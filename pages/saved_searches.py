"""The pages of kept searches: a browser's own list, and what is new in each since it was last looked at."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from models import SavedSearch, db
from search.query import Query, clean_text
from search.saved_searches import (
    LONGEST_NAME,
    MOST_OF_BROWSER,
    TTL_S,
    CannotSave,
    delete_search,
    mark_viewed,
    save_search,
    saved_search,
    saved_searches,
)
from web.rate_limits import rate_limit
from web.saved_searches import Target, all_news, target
from web.screenings import NUMBER
from web.sessions import browser, browser_or_new

saved_search_pages = Blueprint("saved_searches", __name__)

A_PAGE = 10  # kept searches whose news are counted at once
DAY_S = 86_400


@saved_search_pages.get("/searches")
@rate_limit("search")
def searches() -> str:
    wanted = target(request.args.get("save", "")) if request.args.get("save") else None
    return searches_page(wanted, wanted.name() if wanted else "")


def searches_page(asked: Target | None, name: str, error: str = "") -> str:
    own = saved_searches(db.session(), browser())
    page = min(max(request.args.get("page", 1, int), 1), max(-(-len(own) // A_PAGE), 1))
    return render_template(
        "searches.html", query=Query(), asked=asked, name=name, error=error, count=len(own), page=page,
        news=all_news(own[(page - 1) * A_PAGE : page * A_PAGE]), pages=-(-len(own) // A_PAGE), most=MOST_OF_BROWSER,
        days=TTL_S // DAY_S, longest_name=LONGEST_NAME,
        here=lambda page: url_for("saved_searches.searches", page=page),
    )  # fmt: skip


@saved_search_pages.post("/searches")
@rate_limit("search")
def searches_keep() -> AnyResponse | tuple[str, int]:
    asked, name = target(request.form.get("address", "")), clean_text(request.form.get("name", ""))
    if asked is None:
        return searches_page(None, "", gettext("This search cannot be saved.")), 422
    try:
        save_search(db.session(), browser_or_new(), name or asked.name(), asked.address())
    except CannotSave as error:
        return searches_page(asked, name, unkeepable(error)), 422
    return redirect(url_for("saved_searches.searches"), 303)


def unkeepable(error: CannotSave) -> str:
    """Return why a search cannot be kept, in the user's language."""
    said: dict[str, str] = {
        "name": gettext("A name has 1 to %(most)s characters.", most=LONGEST_NAME),
        "address": gettext("This search is too long to save: shorten it."),
        "full": gettext("There is no room for more saved searches: delete one first."),
    }
    return said[error.code]


def own_saved_search(number: int) -> SavedSearch:
    saved = saved_search(db.session(), browser(), number)
    if saved is None:
        abort(404)
    return saved


@saved_search_pages.post(f"/searches/{NUMBER}/run")
@rate_limit("search")
def searches_run(number: int) -> AnyResponse:
    """Lead to a kept search, whole or only what is new, and remember that it was looked at."""
    saved = own_saved_search(number)
    wanted = target(saved.address)
    if wanted is None:
        abort(404)
    before = mark_viewed(db.session(), saved)
    return redirect(wanted.address(before if request.form.get("what") == "new" else 0), 303)


@saved_search_pages.post(f"/searches/{NUMBER}/delete")
def searches_delete(number: int) -> AnyResponse:
    delete_search(db.session(), own_saved_search(number))
    return redirect(url_for("saved_searches.searches"), 303)
