"""The API of kept searches: those of the browser whose cookie is sent."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, url_for

from api.requests import body_fields, text_of
from models import SavedSearch, db
from search.query import clean_text
from search.saved_searches import CannotSave, delete_search, mark_viewed, save_search, saved_search, saved_searches
from web.errors import ApiError
from web.rate_limits import rate_limit
from web.saved_searches import News, all_news, target
from web.screenings import NUMBER
from web.sessions import browser, browser_or_new

saved_search_api = Blueprint("api_saved_searches", __name__)


@saved_search_api.get("/api/searches")
@rate_limit("search")
def api_searches() -> Response:
    own = saved_searches(db.session(), browser())
    return jsonify({"searches": [news_json(one) for one in all_news(own)]})


def news_json(one: News) -> dict[str, Any]:
    return search_json(one.kept) | {"new": one.count, "new_is_exact": one.is_exact, "gone": one.is_gone}


def search_json(one: SavedSearch) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("id", "name", "address", "made_at", "used_at")}


@saved_search_api.post("/api/searches")
@rate_limit("search")
def api_search_keep() -> tuple[Response, int, dict[str, str]]:
    fields = body_fields()
    wanted, name = target(text_of(fields, "address")), clean_text(text_of(fields, "name"))
    if wanted is None:
        raise ApiError(422, "bad_parameter", "address must be that of a search or a screening here: /text?q=rent")
    try:
        saved = save_search(db.session(), browser_or_new(), name or wanted.name(), wanted.address())
    except CannotSave as error:
        raise ApiError(409 if error.code == "full" else 422, error.code, str(error)) from None
    return jsonify(search_json(saved)), 201, {"Location": url_for("api_saved_searches.api_searches")}


def saved_search_or_404(number: int) -> SavedSearch:
    saved = saved_search(db.session(), browser(), number)
    if saved is None:
        raise ApiError(404, "not_found", "This browser keeps no such search.")
    return saved


@saved_search_api.delete(f"/api/searches/{NUMBER}")
def api_search_drop(number: int) -> tuple[str, int]:
    delete_search(db.session(), saved_search_or_404(number))
    return "", 204


@saved_search_api.post(f"/api/searches/{NUMBER}/run")
@rate_limit("search")
def api_search_run(number: int) -> Response:
    """Remember that a search was looked at, and return its addresses: whole, and of what was new."""
    body_fields()  # only JSON: no other site's form can send it
    saved = saved_search_or_404(number)
    wanted = target(saved.address)
    if wanted is None:
        raise ApiError(404, "gone", "What this search asks for is no longer there: delete it.")
    before = mark_viewed(db.session(), saved)
    return jsonify({"address": wanted.address(), "new_address": wanted.address(before)})
