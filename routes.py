"""The search pages: search, tags, documents, status."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from config import TEXT, VERBATIM, WEB_URL, Settings, declared
from models import db
from operations.health import document_count, stats, stored_counts
from operations.history import chart
from search.documents import collections, document_page, similar
from search.query import LAST_PAGE, MODES, Query, within
from search.results import Hit, ResultsPage
from search.search import search
from search.snippets import marked_document
from search.suggestions import sample_queries
from search.tag_index import common_tags, tag_page
from search.text import TextQuery
from utils.cells import MARK, csv_line
from web.access import needs, sees_all_figures
from web.addresses import mode_path, query_before, requested_id
from web.current import runtime, search_results, semantic, settings, watch
from web.exports import FORMS, exported_search
from web.feeds import feed
from web.rate_limits import rate_limit

search_pages = Blueprint("search", __name__)

TAGS_A_PAGE = 120


@search_pages.app_context_processor
def meaning_state() -> dict[str, Any]:
    """Give every template the state of semantic search: the search box says when it is not available."""
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
    form = request.args.get("format", "")
    if form in FORMS and (form == "jsonl" or request.args.get("all") == "1"):
        return exported_search(query, form)
    if form == "csv":
        return csv_response(search_results(query))
    if form == "atom":
        return feed(query)
    if query.is_empty() and not (query.collection or query.language or query.since) and mode != "tags":
        return home(query)
    results = search_results(query)
    names = runtime().collection_names(db.session(), results.version)
    template = "_results.html" if request.args.get("part") == "results" else "search.html"
    return render_template(template, query=query, results=results, collections=names)


def home(query: Query) -> str:
    names = collections(db.session())
    return render_template(
        "home.html", query=query, tags=common_tags(db.session(), 24), collections=names, samples=sample_queries(names),
        figures={"documents": document_count(db.session()), "semantic": semantic().state},
    )  # fmt: skip


def csv_response(results: ResultsPage) -> Response:
    """Return a page of hits as CSV, with the mark by which a spreadsheet recognizes UTF-8."""
    header = ("rank", "id", "collection", "title", "score", "text", "semantic", "tags", "url", "snippet")
    lines = [MARK, csv_line(header)]
    for rank, hit in enumerate(results.hits, results.first):
        scores = (hit.score, hit.why.text, hit.why.semantic)
        cells = (rank, hit.id, hit.collection, hit.plain_title, *scores, "; ".join(hit.tags), hit.url)
        lines.append(csv_line((*cells, hit.plain_snippet)))
    headers = {"Content-Disposition": 'attachment; filename="matmon.csv"'}
    return Response("".join(lines), mimetype="text/csv", headers=headers)


@search_pages.get("/documents/<own_id:own_id>")
@search_pages.get("/documents")
@rate_limit("search")
def document(own_id: str = "") -> str:
    page = document_page(db.session(), requested_id(own_id), request.args.get("collection", ""))
    if page is None:
        abort(404)
    before = query_before(request.args)
    marks = marked_document(page.title, page.body, TextQuery(db.session(), before.parts()).interpretation.matcher())
    # Reading a document, as every crawler does, must not load the model: only stored embeddings are compared.
    near = similar(db.session(), page.number, semantic(), 6)
    query = Query(before.text, before.mode)
    return render_template(
        "document.html", document=page, marks=marks, similar=near, query=query, before=before, **neighbours(before)
    )


def neighbours(before: Query) -> dict[str, tuple[Hit, int] | None]:
    """Return the hits before and after this one in the search that led here, with their ranks.

    None where there are none, and where looking for them would load the model.
    """
    rank = within(request.args.get("rank"), 0, LAST_PAGE, 0)
    needs_model = before.mode in ("hybrid", "semantic") and semantic().state != "ready" and not semantic().is_off
    if not rank or needs_model:
        return {"previous": None, "following": None}
    return {"previous": hit_at(before, rank - 1), "following": hit_at(before, rank + 1)}


def hit_at(query: Query, rank: int) -> tuple[Hit, int] | None:
    """Return the hit at a rank of a search, which is usually kept from when its results were shown."""
    if not 1 <= rank <= LAST_PAGE:
        return None
    shown = search(db.session(), replace(query, page=rank, limit=1), semantic(), wait_s=0).hits
    return (shown[0], rank) if shown else None


@search_pages.get("/status")
@needs("metrics")
def status() -> str:
    figures = watch().figures()  # before the first statement, so that this page's own connection is not counted
    samples = watch().samples()
    totals = stats(db.session(), semantic()) if stored_counts(db.session(), semantic()) else None
    if not sees_all_figures():
        return render_template("status_public.html", figures=figures, stats=totals, query=Query())
    return render_template(
        "status.html", figures=figures, chart=chart(samples, figures.guard.events), stats=totals,
        settings=settings(), setting_rows=setting_rows(settings()), query=Query(),
        has_words=not runtime().words_problem,
    )  # fmt: skip


def setting_rows(settings: Settings) -> dict[str, object]:
    """Return the settings that everyone may see, by name: no secrets, addresses or folders."""
    rows: dict[str, object] = {}
    for attribute, declaration in declared().items():
        value = getattr(settings, attribute)
        if attribute in ("database_url", "redis_url"):
            rows[declaration.name] = re.sub(r"[:+].*", "://…", value) or "–"
        elif declaration.name.endswith("_PERCENT"):
            rows[declaration.name] = round(100 * value)
        elif not declaration.is_secret and declaration.parser not in (TEXT, VERBATIM, WEB_URL):
            rows[declaration.name] = "–" if value in (None, "") else int(value) if isinstance(value, bool) else value
    return {name: value for name, value in rows.items() if not isinstance(value, Path)}


@search_pages.get("/privacy")
@needs("none")
def privacy() -> str:
    """Tell visitors what is kept of them, by the settings of this site."""
    return render_template("privacy.html", query=Query(), settings=settings())


@search_pages.get("/go")
def go() -> AnyResponse:
    """Redirect a search form to the page of its mode, so that the form works without JavaScript."""
    mode = request.args.get("mode", "hybrid")
    query = replace(Query.from_args(request.args), mode=mode if mode in MODES else "hybrid", page=1)
    return redirect(f"{mode_path(query.mode)}?{query.address()}")
