"""The saved searches of a browser, with what is new in each since it was last viewed."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from models import db
from search.query import Query, clean_text
from search.saved_searches import (
    LONGEST_NAME,
    MOST_OF_BROWSER,
    CannotSave,
    delete_search,
    mark_viewed,
    save_search,
    saved_searches,
)
from web.current import settings
from web.errors import translated
from web.owners import client_number, owner_or_new, owners
from web.rate_limits import rate_limit
from web.saved_searches import Target, all_news, search_or_404, target
from web.screenings import NUMBER

saved_search_pages = Blueprint("saved_searches", __name__)

PAGE_SIZE = 10  # saved searches whose new matches are counted for one page


@saved_search_pages.get("/searches")
@rate_limit("search")
def searches() -> str:
    to_save = target(request.args.get("save", "")) if request.args.get("save") else None
    return searches_page(to_save, to_save.name() if to_save else "")


def searches_page(to_save: Target | None, name: str, error: str = "") -> str:
    own = saved_searches(db.session(), owners())
    pages = -(-len(own) // PAGE_SIZE)
    page = min(max(request.args.get("page", 1, int), 1), max(pages, 1))
    return render_template(
        "searches.html", query=Query(), asked=to_save, name=name, error=error, count=len(own), page=page, pages=pages,
        news=all_news(own[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]), most=MOST_OF_BROWSER,
        days=settings().saved_search_days,
        longest_name=LONGEST_NAME, here=lambda page: url_for("saved_searches.searches", page=page),
    )  # fmt: skip


@saved_search_pages.post("/searches")
@rate_limit("search")
def searches_keep() -> AnyResponse | tuple[str, int]:
    to_save, name = target(request.form.get("address", "")), clean_text(request.form.get("name", ""))
    if to_save is None:
        return searches_page(None, "", gettext("This search cannot be saved.")), 422
    try:
        save_search(db.session(), owner_or_new(), name or to_save.name(), to_save.address(), client_number())
    except CannotSave as error:
        return searches_page(to_save, name, translated(error)), 422
    return redirect(url_for("saved_searches.searches"), 303)


@saved_search_pages.post(f"/searches/{NUMBER}/run")
@rate_limit("search")
def searches_run(number: int) -> AnyResponse:
    """Mark a saved search as viewed and redirect to all of its matches, or only the new ones."""
    saved = search_or_404(number)
    wanted = target(saved.address) or abort(404)
    before = mark_viewed(db.session(), saved)
    return redirect(wanted.address(before if request.form.get("what") == "new" else 0), 303)


@saved_search_pages.post(f"/searches/{NUMBER}/delete")
def searches_delete(number: int) -> AnyResponse:
    delete_search(db.session(), search_or_404(number))
    return redirect(url_for("saved_searches.searches"), 303)
