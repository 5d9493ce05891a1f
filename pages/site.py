"""What browsers, crawlers and other programs look for: icons, a manifest, a search engine's description, a sitemap."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, jsonify, redirect, render_template, url_for
from flask_babel import gettext
from sqlalchemy import func, select
from werkzeug.wrappers import Response as AnyResponse

from indexes.access import hidden_collections
from models import Collection, Document, db
from web.access import is_private_site, needs
from web.addresses import document_url, locale
from web.feeds import xml_time
from web.rate_limits import rate_limit

site_pages = Blueprint("site", __name__)

PAPER = "#f3ecdf"  # the background of the light page
ICON_SIZES = (192, 512)
# Documents are spread evenly over their keys: a part of the sitemap is a range of keys. The protocol allows 50,000.
PART_DOCUMENTS, MOST_PARTS, MOST_IN_PART = 5_000, 1_000, 45_000
KEYS = 2**63
NOT_FOR_CRAWLERS = (
    "/text", "/semantic", "/tags", "/go", "/match", "/screenings", "/searches", "/import", "/keys", "/audit", "/forget",
    "/signin", "/api/", "/mcp",
)  # fmt: skip
PITCH = "Find what is hidden in your documents: by keyword, tag and meaning, in Hebrew and English."
SEARCH_PARAMETERS = (
    "q", "tag", "not_tag", "page", "sort", "since", "limit", "mode", "within", "format", "part", "rank",
)  # fmt: skip


@site_pages.get("/robots.txt")
@needs("none")
def robots() -> Response:
    """Keep crawlers out of searches: they would try every tag and keep the model loaded."""
    lines = ["User-agent: *"]
    if is_private_site():
        lines.append("Disallow: /")
    else:
        lines += [f"Disallow: {path}" for path in NOT_FOR_CRAWLERS]
        lines += [f"Disallow: /*{mark}{name}=" for name in SEARCH_PARAMETERS for mark in "?&"]
        lines += ["", f"Sitemap: {url_for('site.sitemap', _external=True)}"]
    return Response("\n".join([*lines, ""]), mimetype="text/plain")


@site_pages.get("/sitemap.xml")
def sitemap() -> Response:
    """List the parts of the sitemap, each of some PART_DOCUMENTS documents."""
    places = [url_for("site.sitemap_part", part=part, _external=True) for part in range(1, parts() + 1)]
    return xml("sitemap.xml", places=places)


@site_pages.get("/sitemap-<int:part>.xml")
@rate_limit("search")
def sitemap_part(part: int) -> Response:
    """List the addresses of documents that everybody may read; the first part has the first page too."""
    if not 1 <= part <= (count := parts()):
        abort(404)
    first, end = KEYS * (part - 1) // count, KEYS * part // count
    rows = select(Document.own_id, Collection.name, Document.changed_at)
    rows = rows.join(Collection, Collection.id == Document.collection_id)
    rows = rows.where(Document.id >= first, Document.id <= end - 1, Document.collection_id.not_in(hidden()))
    found = db.session.execute(rows.order_by(Document.id).limit(MOST_IN_PART))
    return xml("sitemap.xml", pages=[url_for("search.everything", _external=True)] if part == 1 else [], documents=[
        (document_url(row.own_id, collection=row.name, _external=True), xml_time(row.changed_at)) for row in found
    ])  # fmt: skip


def parts() -> int:
    """Return how many parts the sitemap has."""
    rows = select(func.coalesce(func.sum(Collection.documents), 0)).where(Collection.id.not_in(hidden()))
    documents = int(db.session.execute(rows).scalar_one())
    return min(max(-(-documents // PART_DOCUMENTS), 1), MOST_PARTS)


def hidden() -> tuple[int, ...]:
    return hidden_collections(db.session())


def xml(template: str, mimetype: str = "application/xml", **values: object) -> Response:
    return Response(render_template(template, **values), mimetype=mimetype)


@site_pages.get("/opensearch.xml")
@needs("none")
def opensearch() -> Response:
    """Describe the search, so that a browser can add it to its search engines (OpenSearch 1.1)."""
    return xml("opensearch.xml", "application/opensearchdescription+xml")


@site_pages.get("/manifest.webmanifest")
@needs("none")
def manifest() -> Response:
    """Describe the site as an application, in the language of its address."""
    icons = [icon(size) for size in ICON_SIZES]
    language = locale()
    response = jsonify({
        "name": gettext("Matmon: search by words, tags and meaning"), "short_name": gettext("Matmon"),
        "description": gettext(PITCH),
        "lang": language, "dir": "rtl" if language == "he" else "ltr", "id": "/", "scope": url_for("search.everything"),
        "start_url": url_for("search.everything"), "display": "minimal-ui",
        "background_color": PAPER, "theme_color": PAPER, "icons": icons,
    })  # fmt: skip
    response.mimetype = "application/manifest+json"
    return response


def icon(size: int) -> dict[str, str]:
    return {"src": static_address(f"icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"}


def static_address(name: str) -> str:
    return url_for("static", filename=name, v=current_app.jinja_env.globals["static_version"])


@site_pages.get("/favicon.ico")
@needs("none")
@rate_limit("none")
def favicon() -> AnyResponse:
    """Show the icon to what asks for it by its oldest name."""
    return redirect(static_address("favicon.ico"))
