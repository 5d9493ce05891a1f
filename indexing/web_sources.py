"""Makes a file to import of an address of the web: a feed, a sitemap with its pages, a page, or a file as it is."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from indexing.extraction import EXTRACTED, STORED
from indexing.fetching import Fetched, Fetcher
from indexing.html_text import html_to_text
from indexing.reading import JSON, TABLES
from indexing.rows import FileUnusable, Row, RowRefused, row_line
from indexing.text_files import html_document
from indexing.xml_parts import elements, local_name

MOST_PAGES, MOST_SITEMAPS = 1_000, 50
MOST_PAGE_BYTES = 8 << 20
PAUSE_S = 0.5  # between the pages of a site
_ROOT = re.compile(rb"<(?:\w+:)?(rss|feed|rdf|urlset|sitemapindex)[\s>]", re.IGNORECASE)
_KINDS = {
    "text/csv": ".csv", "application/json": ".json", "application/pdf": ".pdf", "application/zip": ".zip",
    "text/markdown": ".md", "text/plain": ".md", "application/x-ndjson": ".jsonl",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}  # fmt: skip
_FEED_FIELDS = {
    "title": "title", "link": "url", "guid": "id", "id": "id", "encoded": "body", "content": "body",
    "description": "summary", "summary": "summary", "pubDate": "published", "published": "published",
    "date": "published", "updated": "updated", "creator": "author", "author": "author", "category": "tags",
    "subject": "tags",
}  # fmt: skip


def is_web_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def download(address: str, folder: Path, fetcher: Fetcher | None = None, pause_s: float = PAUSE_S) -> Path:
    """Return a file in the folder with what is at an address; raises FileUnusable."""
    fetcher = fetcher or Fetcher()
    fetched = fetcher.fetch(address)
    root = _ROOT.search(fetched.content[:4096])
    kind = root[1].decode().lower() if root and not _is_page(fetched) else ""
    suffix = Path(unquote(urlsplit(fetched.url).path)).suffix.lower()
    if not kind and not _is_page(fetched):
        known = {f".{name}" for name in (*TABLES, *JSON, *EXTRACTED)}
        path = folder / f"fetched{suffix if suffix in known else _KINDS.get(fetched.kind, '.unknown')}"
        path.write_bytes(fetched.content)
        return path
    if kind in ("urlset", "sitemapindex"):
        rows = sitemap_rows(fetched, fetcher, pause_s)
    elif kind:
        rows = feed_rows(fetched)
    else:
        rows = iter([page_row(1, fetched)])
    path = folder / f"fetched{STORED}"
    with path.open("wb") as file:
        file.writelines(map(row_line, rows))
    return path


def _is_page(fetched: Fetched) -> bool:
    start = fetched.content[:1024].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html")) or (fetched.kind == "text/html" and b"<html" in start)


def page_row(place: int, fetched: Fetched) -> Row:
    fields = html_document(fetched.content)
    return Row(place, {"title": "", **fields, "id": fetched.url, "url": fetched.url})


def feed_rows(fetched: Fetched) -> Iterator[Row]:
    """Yield the entries of RSS or Atom."""
    host = urlsplit(fetched.url).hostname or ""
    for place, entry in enumerate(elements(io.BytesIO(fetched.content), "item", "entry"), 1):
        yield Row(place, {"source": host, **entry_fields(entry)})


def entry_fields(entry: Element) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    tags: list[str] = []
    for part in entry:
        name = _FEED_FIELDS.get(local_name(part), "")
        text = " ".join("".join(part.itertext()).split()) if name != "body" else "".join(part.itertext()).strip()
        if name == "tags":
            tags.append(part.get("term") or text)
        elif name == "url":
            is_itself = part.get("rel", "alternate") == "alternate"
            if (link := part.get("href") or text) and is_itself:
                fields.setdefault("url", link)
        elif name and text:
            fields.setdefault(name, text)
    summary = fields.pop("summary", "")
    fields["body"] = html_to_text(fields.get("body") or summary)
    fields["title"] = " ".join(html_to_text(fields.get("title", "")).split())
    fields.setdefault("id", fields.get("url", ""))
    fields["tags"] = [tag for tag in tags if tag]
    return {name: value for name, value in fields.items() if value}


def sitemap_rows(fetched: Fetched, fetcher: Fetcher, pause_s: float) -> Iterator[Row]:
    """Yield the pages of a sitemap that are on its own host; those that cannot be fetched are refused."""
    host = urlsplit(fetched.url).netloc
    for place, url in enumerate(page_addresses(fetched, fetcher), 1):
        if place > MOST_PAGES:
            yield Row(place, None, RowRefused("bad_document.web_pages", most=MOST_PAGES), url)
            return
        if urlsplit(url).netloc != host:
            yield Row(place, None, RowRefused("bad_document.other_site"), url)
            continue
        time.sleep(pause_s)
        try:
            yield page_row(place, fetcher.fetch(url, MOST_PAGE_BYTES))
        except FileUnusable as error:
            yield Row(place, None, RowRefused("bad_document.file", reason=error), url)


def page_addresses(fetched: Fetched, fetcher: Fetcher) -> Iterator[str]:
    """Yield the addresses in a sitemap, and in those that it lists."""
    waiting, read = [fetched], 0
    while waiting:
        sitemap = waiting.pop(0)
        for kind, url in _locations(sitemap):
            if kind == "url":
                yield url
            elif read < MOST_SITEMAPS and urlsplit(url).netloc == urlsplit(sitemap.url).netloc:
                read += 1
                waiting.append(fetcher.fetch(url))


def _locations(sitemap: Fetched) -> Iterator[tuple[str, str]]:
    for element in elements(io.BytesIO(sitemap.content), "url", "sitemap"):
        url = next((part.text or "" for part in element if local_name(part) == "loc"), "").strip()
        if url:
            yield local_name(element), url
