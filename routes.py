"""The pages: request in, template out."""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, session, url_for
from flask_babel import format_date, format_percent, format_timedelta
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wrappers import Response as AnyResponse

from config import Settings
from matching.aliases import Aliases, aliases
from models import db
from operations.chart import chart
from operations.figures import Watch
from operations.health import document_count, holdings, stats
from search.documents import collections, document_page, similar
from search.query import MODES, Query, of_mapping
from search.results import Results
from search.samples import sample_queries
from search.search import search
from search.semantic import Semantic
from search.tag_index import common_tags, tag_page
from utils.cells import MARK, csv_line

pages = Blueprint("pages", __name__)
ADMIN_S = 3_600
TAGS_A_PAGE = 120
ONE_S = timedelta(seconds=1)
LOCALES = ("he", "en")


def settings() -> Settings:
    found: Settings = current_app.extensions["matmon.settings"]
    return found


def semantic() -> Semantic:
    found: Semantic = current_app.extensions["matmon.semantic"]
    return found


def watch() -> Watch:
    found: Watch = current_app.extensions["matmon.watch"]
    return found


def skill_aliases() -> Aliases:
    """Return the other names of skills: the project's, and the site's own beside its database."""
    return aliases(settings().instance_dir / "skill-aliases.csv")


def searched(query: Query) -> Results:
    """Return a page of results, and let the operator know how long it took."""
    results = search(db.session(), query, semantic(), shared=current_app.extensions.get("matmon.results"))
    watch().searches.note(query.mode, query.text, results.total, results.took_ms)
    return results


def locale() -> str:
    """Return the interface's language: the address's, the session's, or the site's own."""
    asked = request.args.get("lang", "")
    if asked in LOCALES:
        session["lang"] = asked
    kept = session.get("lang")
    return kept if kept in LOCALES else settings().default_locale


@pages.app_context_processor
def meaning_state() -> dict[str, Any]:
    """Tell every template whether meaning can be searched: the search box says so where it cannot."""
    guard = watch().guard()
    return {"meaning_state": semantic().state, "text_only_left_s": guard.text_only_left_s() if guard else 0.0}


@pages.get("/")
def everything() -> AnyResponse | str:
    return search_page("hybrid")


@pages.get("/text")
def text() -> AnyResponse | str:
    return search_page("text")


@pages.get("/semantic")
def by_meaning() -> AnyResponse | str:
    return search_page("semantic")


@pages.get("/tags")
def tags() -> AnyResponse | str:
    query = Query.from_args(request.args, "tags")
    if not query.is_empty():
        return search_page("tags")
    by = "name" if request.args.get("sort") == "name" else "count"
    prefix = request.args.get("prefix", "")[:80]
    found = tag_page(db.session(), prefix, query.collection, query.page, TAGS_A_PAGE, by)
    return render_template(
        "tags.html", query=query, tags=found, prefix=prefix, by=by, collections=collections(db.session()),
        pages=-(-found.listed // TAGS_A_PAGE),
    )  # fmt: skip


def search_page(mode: str) -> AnyResponse | str:
    query = replace(Query.from_args(request.args), mode=mode)
    if request.args.get("format") == "csv":
        return csv_answer(searched(query))
    if query.is_empty() and not (query.collection or query.language or query.since) and mode != "tags":
        return home(query)
    results = searched(query)
    template = "_results.html" if request.args.get("part") == "results" else "search.html"
    return render_template(template, query=query, results=results, collections=collections(db.session()))


def home(query: Query) -> str:
    common = common_tags(db.session(), 24)
    names = collections(db.session())
    return render_template(
        "home.html", query=query, tags=common, collections=names, figures=site_figures(), samples=sample_queries(names)
    )


def site_figures() -> dict[str, Any]:
    return {"documents": document_count(db.session()), "semantic": semantic().state}


def csv_answer(results: Results) -> Response:
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


@pages.get("/documents/<path:own_id>")
def document(own_id: str) -> str:
    found = document_page(db.session(), own_id, request.args.get("collection", ""))
    if found is None:
        abort(404)
    query = of_mapping({"q": request.args.get("q", "")})
    # Reading documents, as every crawler does, loads no model: it is used where it is there, or asked for.
    near = similar(db.session(), found.number, semantic(), 6)
    return render_template("document.html", document=found, similar=near, query=query)


@pages.get("/status")
def status() -> str:
    figures = watch().figures()  # before the first statement: this page's own connection is not the site's
    samples = watch().samples()
    found = stats(db.session(), semantic()) if holdings(db.session(), semantic()) else None
    return render_template(
        "status.html", figures=figures, chart=chart(samples, figures.guard.events), stats=found,
        settings=settings(), query=Query(),
    )  # fmt: skip


def is_admin() -> bool:
    until = session.get("admin_until", 0)
    return isinstance(until, int) and until > time.time()


def becomes_admin(token: str) -> bool:
    """Remember for an hour that the right token was given; only the hour's end is kept."""
    if not is_token(token):
        return False
    session["admin_until"] = int(time.time()) + ADMIN_S
    return True


def is_token(given: str) -> bool:
    return hmac.compare_digest(given.encode(), settings().admin_token.encode())


@pages.get("/robots.txt")
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


@pages.get("/go")
def go() -> AnyResponse:
    """Take a search form's choice of mode to the page of that mode: the form works without JavaScript."""
    mode = request.args.get("mode", "hybrid")
    query = replace(Query.from_args(request.args), mode=mode if mode in MODES else "hybrid", page=1)
    return redirect(f"{mode_path(query.mode)}?{query.address()}")


def mode_path(mode: str) -> str:
    ends = {"hybrid": "everything", "text": "text", "tags": "tags", "semantic": "by_meaning"}
    return url_for(f"pages.{ends[mode]}")


def address(query: Query, **changes: object) -> str:
    """Return the address of a query's page, for templates."""
    path = mode_path(str(changes.pop("mode", query.mode)))
    asked = query.address(**changes)
    return f"{path}?{asked}" if asked else path


def page_path() -> str:
    """Return this page's path; for the answer to a form, which no link can lead to, that of the nearest page above."""
    path, adapter = request.path, current_app.create_url_adapter(request)
    is_form = request.method not in ("GET", "HEAD") or isinstance(request.routing_exception, MethodNotAllowed)
    while is_form and adapter and path != "/" and not adapter.test(path, "GET"):
        path = path.rpartition("/")[0] or "/"
    return path


def address_in(lang: str) -> str:
    """Return this page's address in another language."""
    return f"{quote(page_path())}?{urlencode(request.args.to_dict(flat=False) | {'lang': [lang]}, doseq=True)}"


@pages.app_template_filter()
def day(seconds: int) -> str:
    """Return a day as the interface's language writes it, from seconds since 1970."""
    return format_date(datetime.fromtimestamp(seconds, UTC), "long")


@pages.app_template_filter()
def ago(at: float) -> str:
    """Return how long ago a moment was (seconds since 1970), as the interface's language says it."""
    return ago_s(time.time() - at)


@pages.app_template_filter()
def ago_s(seconds: float) -> str:
    return format_timedelta(-max(timedelta(seconds=round(seconds)), ONE_S), add_direction=True)


@pages.app_template_filter()
def ahead(seconds: float) -> str:
    """Return when something will be, in so many seconds."""
    return format_timedelta(max(timedelta(seconds=round(seconds)), ONE_S), add_direction=True)


@pages.app_template_filter()
def lasting(seconds: float) -> str:
    return format_timedelta(max(timedelta(seconds=round(seconds)), ONE_S))


@pages.app_template_filter()
def share(part: float) -> str:
    return format_percent(part, "#,##0.0 %")


def safe_link(url: str) -> str:
    """Return a document's own address if it is one of the web, and nothing else."""
    return url if url.lower().startswith(("http://", "https://")) else ""


def page_numbers(current: int, last: int) -> Iterator[int]:
    """Yield the pages worth a link: the ends, and two on each side of the current; 0 for a gap."""
    shown = sorted({1, last, *range(max(1, current - 2), min(last, current + 2) + 1)})
    for place, page in enumerate(shown):
        if place and page - shown[place - 1] > 1:
            yield 0
        yield page
