"""Turns HTML into plain text: paragraphs are kept, markup, scripts and styles are not."""

from __future__ import annotations

import re
from html.parser import HTMLParser

MARKUP = re.compile(
    r"</(?:p|div|span|b|i|u|em|strong|a|ul|ol|li|h[1-6]|table|td|tr|blockquote|pre|code|body)\s*>|<br\s*/?>|<p[\s>]",
    re.IGNORECASE,
)
_PARAGRAPHS = frozenset(
    "address article aside blockquote body div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main nav ol "
    "p pre section table ul".split()
)
_LINES = frozenset(("br", "dd", "dt", "li", "tr", "option"))
_UNSEEN = frozenset(("script", "style", "template", "noscript", "head", "svg"))
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")


class _Text(HTMLParser):
    """Collects the text; the title of a whole page is kept apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title = ""
        self._unseen: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "title":
            self._in_title = True
        elif tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag == "body":
            self._unseen.clear()  # a head that was never closed
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        self._part(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._unseen:
            self.parts.append(_SPACES.sub(" ", data))

    def _part(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif tag in _LINES:
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")


def html_to_text(markup: str) -> str:
    return html_page(markup)[1]


def html_page(markup: str) -> tuple[str, str]:
    """Return the title, which may be empty, and the text of a page."""
    parser = _Text()
    parser.feed(markup)
    parser.close()
    lines = [" ".join(line.split()) for line in "".join(parser.parts).split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return " ".join(parser.title.split()), text
