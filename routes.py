"""The pages: request in, template out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from models import db
from operations.health import document_count, stats, stored_counts
from operations.history import chart
from search.documents import collections, document_page, similar
from search.query import MODES, Query, of_mapping
from search.results import ResultsPage
from search.suggestions import sample_queries
from search.tag_index import common_tags, tag_page
from utils.cells import MARK, csv_line
from web.addresses import mode_path
from web.current import runtime, search_results, semantic, settings, watch
from web.rate_limits import rate_limit

search_pages = Blueprint("search", __name__)

TAGS_A_PAGE = 120


@search_pages.app_context_processor
def meaning_state() -> dict[str, Any]:
    """Tell every template whether meaning can be searched: the search box says so where it cannot."""
    guard = watch().guard
    return {"meaning_state": semantic().state, "text_only_left_s": guard.text_only_left_s() if guard else 0.0}


@search_pages.get("/")
@rate_limit("search")
def everything() -> AnyResponse | str:
    return search_page("hybrid")


@search_pages.get("/text")
@rate_limit("search")
def text() -> AnyResponse | str:
    return search_page("text")


@search_pages.get("/semantic")
@rate_limit("search")
def by_meaning() -> AnyResponse | str:
    return search_page("semantic")


@search_pages.get("/tags")
@rate_limit("search")
def tags() -> AnyResponse | str:
    query = Query.from_args(request.args, "tags")
    if not query.is_empty():
        return search_page("tags")
    by = "name" if request.args.get("sort") == "name" else "count"
    prefix = request.args.get("prefix", "")[:80]
    tags_page = tag_page(db.session(), prefix, query.collection, query.page, TAGS_A_PAGE, by)
    return render_template(
        "tags.html", query=query, tags=tags_page, prefix=prefix, by=by, collections=collections(db.session()),
        pages=-(-tags_page.listed // TAGS_A_PAGE),
    )  # fmt: skip


def search_page(mode: str) -> AnyResponse | str:
    query = replace(Query.from_args(request.args), mode=mode)
    if request.args.get("format") == "csv":
        return csv_answer(search_results(query))
    if query.is_empty() and not (query.collection or query.language or query.since) and mode != "tags":
        return home(query)
    results = search_results(query)
    names = runtime().collection_names(db.session(), results.version)
    template = "_results.html" if request.args.get("part") == "results" else "search.html"
    return render_template(template, query=query, results=results, collections=names)


def home(query: Query) -> str:
    common = common_tags(db.session(), 24)
    names = collections(db.session())
    return render_template(
        "home.html", query=query, tags=common, collections=names, figures=site_figures(), samples=sample_queries(names)
    )


def site_figures() -> dict[str, Any]:
    return {"documents": document_count(db.session()), "semantic": semantic().state}


def csv_answer(results: ResultsPage) -> Response:
    """Return a page of hits as CSV, with the mark by which a spreadsheet knows that it is UTF-8."""
    lines = [
        MARK,
        csv_line(("rank", "id", "collection", "title", "score", "text", "semantic", "tags", "url", "snippet")),
    ]
    for rank, hit in enumerate(results.hits, results.first):
        why = (hit.why.text, hit.why.semantic)
        cells = (hit.id, hit.collection, hit.plain_title, hit.score, *why, "; ".join(hit.tags), hit.url)
        lines.append(csv_line((rank, *cells, hit.plain_snippet)))
    headers = {"Content-Disposition": 'attachment; filename="matmon.csv"'}
    return Response("".join(lines), mimetype="text/csv", headers=headers)


@search_pages.get("/documents/<path:own_id>")
@rate_limit("search")
def document(own_id: str) -> str:
    page = document_page(db.session(), own_id, request.args.get("collection", ""))
    if page is None:
        abort(404)
    query = of_mapping({"q": request.args.get("q", "")})
    # Reading documents, as every crawler does, loads no model: it is used where it is there, or asked for.
    near = similar(db.session(), page.number, semantic(), 6)
    return render_template("document.html", document=page, similar=near, query=query)


@search_pages.get("/status")
def status() -> str:
    figures = watch().figures()  # before the first statement: this page's own connection is not the site's
    samples = watch().samples()
    totals = stats(db.session(), semantic()) if stored_counts(db.session(), semantic()) else None
    return render_template(
        "status.html", figures=figures, chart=chart(samples, figures.guard.events), stats=totals,
        settings=settings(), query=Query(),
    )  # fmt: skip


@search_pages.get("/robots.txt")
def robots() -> Response:
    """Ask crawlers to leave searches alone: they would try every tag, and keep the model loaded."""
    lines = (
        "User-agent: *",
        "Disallow: /text",
        "Disallow: /semantic",
        "Disallow: /tags",
        "Disallow: /match",
        "Disallow: /screenings",
        "Disallow: /searches",
        "Disallow: /*?",
        "",
    )
    return Response("\n".join(lines), mimetype="text/plain")


@search_pages.get("/go")
def go() -> AnyResponse:
    """Take a search form's choice of mode to the page of that mode: the form works without JavaScript."""
    mode = request.args.get("mode", "hybrid")
    query = replace(Query.from_args(request.args), mode=mode if mode in MODES else "hybrid", page=1)
    return redirect(f"{mode_path(query.mode)}?{query.address()}")
