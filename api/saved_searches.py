"""The saved searches API, for the browser whose cookie is sent."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, url_for

from api.requests import body_fields, text_of
from models import SavedSearch, db
from search.query import clean_text
from search.saved_searches import LONGEST_ADDRESS, LONGEST_NAME, delete_search, mark_viewed, save_search, saved_searches
from web.errors import ApiError
from web.owners import client_number, owner_or_new, owners
from web.rate_limits import rate_limit
from web.saved_searches import News, all_news, search_or_404, target
from web.screenings import NUMBER

saved_search_api = Blueprint("api_saved_searches", __name__)


@saved_search_api.get("/api/searches")
@rate_limit("search")
def api_searches() -> Response:
    own = saved_searches(db.session(), owners())
    return jsonify({"searches": [news_json(news) for news in all_news(own)]})


def news_json(news: News) -> dict[str, Any]:
    return search_json(news.kept) | {"new": news.count, "new_is_exact": news.is_exact, "gone": news.is_gone}


def search_json(saved: SavedSearch) -> dict[str, Any]:
    return {name: getattr(saved, name) for name in ("id", "name", "address", "made_at", "used_at")}


@saved_search_api.post("/api/searches")
@rate_limit("search")
def api_search_keep() -> tuple[Response, int, dict[str, str]]:
    fields = body_fields()
    address, name = text_of(fields, "address", most=LONGEST_ADDRESS), text_of(fields, "name", most=LONGEST_NAME)
    to_save, name = target(address), clean_text(name)
    if to_save is None:
        raise ApiError(422, "bad_parameter", "address must be that of a search or a screening here: /text?q=rent")
    saved = save_search(db.session(), owner_or_new(), name or to_save.name(), to_save.address(), client_number())
    return jsonify(search_json(saved)), 201, {"Location": url_for("api_saved_searches.api_searches")}


@saved_search_api.delete(f"/api/searches/{NUMBER}")
def api_search_drop(number: int) -> tuple[str, int]:
    delete_search(db.session(), search_or_404(number))
    return "", 204


@saved_search_api.post(f"/api/searches/{NUMBER}/run")
@rate_limit("search")
def api_search_run(number: int) -> Response:
    """Mark a search as viewed, and return its address and that of its new matches."""
    body_fields()  # JSON only, which no form of another site can send
    saved = search_or_404(number)
    wanted = target(saved.address)
    if wanted is None:
        raise ApiError(404, "gone", "What this search is about no longer exists: delete it.")
    before = mark_viewed(db.session(), saved)
    return jsonify({"address": wanted.address(), "new_address": wanted.address(before)})
