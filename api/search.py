"""The search API: the same calls as the pages, described at /api/openapi.json."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.exceptions import ServiceUnavailable

from api.requests import check_number, choice_arg
from models import db
from search.collections import collection_rows
from search.query import LAST_PAGE, LAST_VERSION, MODES, MOST_LIMIT, SORTS, Query
from search.results import results_json
from search.suggestions import Suggestion, suggestions
from search.tag_index import tag_page
from web.addresses import document_url
from web.current import search_results
from web.exports import FORMS, exported_search
from web.feeds import feed
from web.rate_limits import rate_limit

search_api = Blueprint("api_search", __name__)

BUSY_S = 5  # Retry-After while the queue of the model is full


@search_api.get("/api/search")
@rate_limit("search")
def api_search() -> Response:
    query = Query.from_args(request.args, choice_arg("mode", MODES, "hybrid"))
    check_number("page", LAST_PAGE)
    check_number("limit", MOST_LIMIT)
    check_number("since", LAST_VERSION, 0, 0)
    choice_arg("sort", SORTS, "score")
    choice_arg("all", ("1",), "1")
    form = choice_arg("format", ("json", *FORMS, "atom"), "json")
    if form == "atom":
        return feed(query)
    if form != "json":
        return exported_search(query, form)
    results = search_results(query)
    if query.mode == "semantic" and results.semantic_state == "busy":
        raise ServiceUnavailable("The model is busy with other searches; try again in a moment.", retry_after=BUSY_S)
    return jsonify(results_json(results))


@search_api.get("/api/suggest")
@rate_limit("search")
def api_suggest() -> Response:
    found = suggestions(db.session(), request.args.get("q", ""))
    return jsonify({"suggestions": [
        {"text": one.text, "kind": one.kind, "count": one.count, "address": suggested_address(one)} for one in found
    ]})  # fmt: skip


def suggested_address(one: Suggestion) -> str:
    """Return the page of a tag or a document."""
    if one.kind == "tag":
        return url_for("search.tags", tag=one.text)
    return document_url(one.id, collection=one.collection)


@search_api.get("/api/collections")
def api_collections() -> Response:
    rows = collection_rows(db.session())
    return jsonify({"collections": [
        {"name": row.name, "documents": row.documents, "private": row.is_private, "languages": list(row.languages),
         "last_added_at": row.last_added_at} for row in rows
    ]})  # fmt: skip


@search_api.get("/api/tags")
def api_tags() -> Response:
    page, limit = check_number("page", LAST_PAGE), check_number("limit", 500, 100)
    collection = request.args.get("collection", "")
    tags_page = tag_page(db.session(), request.args.get("prefix", "")[:200], collection, page, limit)
    tags = [asdict(tag) for tag in tags_page.tags]
    return jsonify({"tags": tags, "total": tags_page.total, "total_is_exact": tags_page.total_is_exact})
