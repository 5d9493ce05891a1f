"""Reads bookmarks as browsers, linkding, Karakeep and Pocket export them: an HTML page of nested lists."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import IO, Any

from indexing.encodings import SAMPLE_BYTES, encoding_of
from indexing.rows import Row, RowRefused

_BEGINNING = re.compile(r"<!DOCTYPE\s+NETSCAPE-Bookmark-file-1|<title>\s*Pocket Export", re.IGNORECASE)
_WEB = ("http://", "https://", "ftp://")
_ROOTS = frozenset(
    "bookmarks bar|bookmarks toolbar|bookmarks menu|other bookmarks|mobile bookmarks|favorites".split("|")
)


def is_bookmarks(start: bytes) -> bool:
    return _BEGINNING.search(start[:2048].decode("latin-1")) is not None


class _Bookmarks(HTMLParser):
    """Collects the rows that are complete; a note follows its bookmark in a `dd`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[Row] = []
        self._folders: list[str] = []
        self._lists = 0
        self._heading = ""
        self._current: dict[str, Any] = {}
        self._text: list[str] = []
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "dl":
            self._finish()
            self._lists += 1
            if self._lists > 1:
                self._folders.append(self._heading)
            self._heading = ""
        elif tag in ("h3", "h1"):
            self._finish()
            self._in = tag
        elif tag == "a":
            self._finish()
            self._current, self._in = _bookmark(dict(attrs)), "a"
            self._current["line"] = self.getpos()[0]
        elif tag in ("dt", "li"):
            self._finish()
        elif tag == "dd":
            self._end_text()
            self._in = "dd"

    def handle_endtag(self, tag: str) -> None:
        if tag == "dl":
            self._finish()
            self._lists -= 1
            if self._folders:
                self._folders.pop()
        elif tag in ("h3", "h1", "a"):
            self._end_text()

    def handle_data(self, data: str) -> None:
        if self._in:
            self._text.append(data)

    def close(self) -> None:
        super().close()
        self._finish()

    def _end_text(self) -> None:
        text = "".join(self._text).strip() if self._in == "dd" else " ".join("".join(self._text).split())
        if self._in in ("h3", "h1"):
            self._heading = text
        elif self._in and self._current:
            self._current["title" if self._in == "a" else "body"] = text
        self._in, self._text = "", []

    def _finish(self) -> None:
        """End the bookmark that is open, if any, with the folders that it is in."""
        self._end_text()
        if not self._current:
            return
        fields, line = self._current, self._current.pop("line")
        self._current = {}
        folders = [name for name in self._folders if name and name.lower() not in _ROOTS]
        fields["title"] = fields.get("title") or fields["url"]
        if folders:
            fields["folder"] = "/".join(folders)
        if fields["url"].lower().startswith(_WEB):
            self.rows.append(Row(line, {name: value for name, value in fields.items() if value}))
        else:
            self.rows.append(Row(line, None, RowRefused("bad_document.address"), fields["url"][:200]))


def _bookmark(attributes: dict[str, str | None]) -> dict[str, Any]:
    seconds = attributes.get("add_date") or attributes.get("time_added") or ""
    tags = [tag.strip() for tag in (attributes.get("tags") or "").split(",") if tag.strip()]
    is_date = seconds.isdecimal() and 0 < int(seconds) < 1 << 33
    added = datetime.fromtimestamp(int(seconds), UTC).date().isoformat() if is_date else ""
    return {"url": (attributes.get("href") or "").strip(), "tags": tags, "added": added}


def bookmark_rows(stream: IO[bytes]) -> Iterator[Row]:
    """Yield the bookmarks of an export as they are read."""
    content = stream.read(SAMPLE_BYTES)
    text = getincrementaldecoder(encoding_of(content))("replace")
    parser = _Bookmarks()
    while content:
        parser.feed(text.decode(content))
        yield from parser.rows
        parser.rows.clear()
        content = stream.read(SAMPLE_BYTES)
    parser.close()
    yield from parser.rows
