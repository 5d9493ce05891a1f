"""URLs of searches, and the interface language that they carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from flask import Flask, current_app, request, session, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import BaseConverter

from search.query import Query, clean_text
from search.results import Hit
from web.current import settings

LOCALES = ("he", "en")
# Browsers and proxies change paths with an empty segment, "." or ".."; nothing after them can restore the id.
_CHANGED_IN_PATH = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f\\]")


class OwnId(BaseConverter):
    """A document's own id as the rest of a path: any text, slashes included."""

    regex = "(?s:.+?)"
    part_isolating = False
    weight = 200


def register(app: Flask) -> None:
    """Let ids be parts of paths as they are: `own_id` in a rule."""
    app.url_map.converters["own_id"] = OwnId
    app.url_map.merge_slashes = False


def locale() -> str:
    """Return the interface's language: the address's, the session's, the browser's, or the site's own."""
    requested = request.args.get("lang", "")
    if requested in LOCALES:
        session["lang"] = requested
    language = session.get("lang")
    if language in LOCALES:
        return str(language)
    return request.accept_languages.best_match(LOCALES) or settings().default_locale


def mode_path(mode: str) -> str:
    ends = {"hybrid": "everything", "text": "text", "tags": "tags", "semantic": "by_meaning"}
    return url_for(f"search.{ends[mode]}")


def address(query: Query, **changes: object) -> str:
    """Return the address of a query's page, for templates."""
    path = mode_path(str(changes.pop("mode", query.mode)))
    parameters = query.address(**changes)
    return f"{path}?{parameters}" if parameters else path


def search_title(query: Query) -> str:
    """Return what was asked, and where, in a line: the title of a page or a feed."""
    asked = [query.text, *query.tags, *(f"-{tag}" for tag in query.not_tags), query.collection, query.language]
    return " · ".join(part for part in asked if part)


def document_address(hit: Hit, query: Query, rank: int = 0) -> str:
    """Return the address of a hit's page, with the search that led to it, and its rank there.

    The hit's collection is `collection` there, and the collection that was searched is `within`.
    """
    values = query.args(collection="", within=query.collection, mode="" if query.mode == "hybrid" else query.mode)
    values |= {"rank": rank} if rank else {}
    return document_url(hit.id, collection=hit.collection, **values)  # type: ignore[arg-type]


def document_url(own_id: str, endpoint: str = "search.document", **values: Any) -> str:
    """Return the address of a document: with its id in the path, or in the query if a path cannot carry it."""
    is_similar = endpoint.startswith("api_") and own_id.endswith("/similar")
    values["id" if is_similar or _CHANGED_IN_PATH.search(own_id) else "own_id"] = own_id
    return url_for(endpoint, **values)


def requested_id(own_id: str) -> str:
    """Return the id in the path, or else in the query, as documents are stored under it."""
    return (own_id or request.args.get("id", "")).replace("\0", "").strip()


def query_before(args: MultiDict[str, str]) -> Query:
    """Return the search that led to a document's page."""
    return replace(Query.from_args(args), collection=clean_text(args.get("within", ""))[:64])


def page_path() -> str:
    """Return this page's path; for the response to a form, which has no link, that of the nearest page above."""
    path, adapter = request.path, current_app.create_url_adapter(request)
    is_form = request.method not in ("GET", "HEAD") or isinstance(request.routing_exception, MethodNotAllowed)
    while is_form and adapter and path != "/" and not adapter.test(path, "GET"):
        path = path.rpartition("/")[0] or "/"
    return path


def address_in(lang: str) -> str:
    """Return this page's address in another language."""
    return f"{quote(page_path())}?{urlencode(request.args.to_dict(flat=False) | {'lang': [lang]}, doseq=True)}"


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """The absolute addresses under which search engines should list a page: its own, and one for each language."""

    canonical: str
    languages: Mapping[str, str]


def own_addresses() -> OwnAddresses | None:
    """Return the addresses of the first page or a document's; None for what crawlers should not read."""
    if request.endpoint == "search.document" and request.routing_exception is None:
        values = {"collection": name} if (name := request.args.get("collection", "")) else {}
        own_id = requested_id(str((request.view_args or {}).get("own_id", "")))
        places = {lang: document_url(own_id, **values, lang=lang, _external=True) for lang in LOCALES}
        default = document_url(own_id, **values, _external=True)
    elif request.endpoint == "search.everything" and not set(request.args) - {"lang"}:
        places = {lang: url_for("search.everything", lang=lang, _external=True) for lang in LOCALES}
        default = url_for("search.everything", _external=True)
    else:
        return None
    return OwnAddresses(places.get(request.args.get("lang", ""), default), {**places, "x-default": default})


def safe_link(url: str) -> str:
    """Return a document's own URL if it is http or https, else an empty string."""
    return url if url.lower().startswith(("http://", "https://")) else ""


def page_numbers(current: int, last: int) -> Iterator[int]:
    """Yield the pages worth a link: the ends, and two on each side of the current; 0 for a gap."""
    shown = sorted({1, last, *range(max(1, current - 2), min(last, current + 2) + 1)})
    for place, page in enumerate(shown):
        if place and page - shown[place - 1] > 1:
            yield 0
        yield page
