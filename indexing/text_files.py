"""Reads a file as a document: plain text, Markdown with front matter, HTML, PDF, .docx, .odt and .epub."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from xml.etree.ElementTree import Element

from indexing.archives import DAMAGED_ARCHIVE, Entry, opened_archive
from indexing.encodings import decoded
from indexing.html_text import html_page
from indexing.open_document import paragraph_text
from indexing.rows import FileUnusable, RowRefused
from indexing.xml_parts import elements, local_name

MOST_PAGES = 5_000
MOST_CHARACTERS = 1_048_576  # no document is longer: see MOST_TEXT_BYTES
Fields = dict[str, Any]
_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)", re.DOTALL)
_FRONT_LINE = re.compile(r"([\w \-]{1,60}?)\s*:(?:\s+(.*)|\s*$)")
_LIST_LINE = re.compile(r"\s*-\s+(.*)")
_HEADING = re.compile(r"^#\s+(.+?)\s*#*\s*$", re.MULTILINE)
_UNTITLED = re.compile(r"untitled|microsoft word|^\s*$|\.(?:docx?|pdf|odt|indd|tex)\s*$", re.IGNORECASE)


def document_fields(entry: Entry) -> Fields:
    """Return a file as the fields of a row: its path is its ID; raises RowRefused."""
    name, _, suffix = entry.path.rpartition("/")[2].rpartition(".")
    fields = READERS[suffix.lower()](entry.content())
    title = fields.pop("title", "")
    if not title and not fields.get("body"):
        raise RowRefused("bad_document.empty")
    folders, _, _ = entry.path.rpartition("/")
    found = {"title": title if isinstance(title, str) and not _UNTITLED.search(title) else name, **fields}
    return {"id": entry.path, **found, **({"folder": folders} if folders else {})}


def plain_text(content: bytes) -> Fields:
    return {"body": decoded(content)}


def markdown(content: bytes) -> Fields:
    """Return a text of Markdown, the fields of its front matter, and its first heading as the title."""
    text = decoded(content)
    fields: Fields = {}
    if front := _FRONT_MATTER.match(text):
        fields, text = front_matter(front[1]), text[front.end() :]
    if heading := _HEADING.search(text):
        fields.setdefault("title", heading[1])
    return {**fields, "body": text.strip()}


def front_matter(text: str) -> Fields:
    """Return the fields of the plain part of YAML that front matter is written in: texts, and lists of texts."""
    fields: Fields = {}
    name = ""
    for line in text.splitlines():
        if name and (part := _LIST_LINE.match(line)):
            values = fields.setdefault(name, [])
            if isinstance(values, list):
                values.append(_unquoted(part[1]))
        elif not line[:1].isspace() and (pair := _FRONT_LINE.match(line)):
            name, value = pair[1].strip(), (pair[2] or "").strip()
            if value[:1] == "[" and value[-1:] == "]":
                fields[name] = [_unquoted(part) for part in value[1:-1].split(",") if part.strip()]
            elif value and value not in (">", "|", ">-", "|-"):
                fields[name] = _unquoted(value)
    return {name: value for name, value in fields.items() if name not in ("id", "body")}


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


class _Meta(HTMLParser):
    """Collects the language, the encoding and the named values of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.values.setdefault("language", given.get("lang") or given.get("xml:lang", ""))
        elif tag == "meta" and given.get("charset"):
            self.values.setdefault("charset", given["charset"])
        elif tag == "meta" and "charset=" in given.get("content", ""):
            self.values.setdefault("charset", given["content"].rpartition("charset=")[2].strip())
        elif tag == "meta":
            self.values.setdefault((given.get("name") or given.get("property", "")).lower(), given.get("content", ""))


def html_document(content: bytes) -> Fields:
    meta = _Meta()
    meta.feed(content[:65_536].decode("latin-1"))
    charset = meta.values.get("charset", "")
    markup = decoded(content, charset if _is_encoding(charset) else "")
    meta = _Meta()
    meta.feed(markup[:65_536])
    title, body = html_page(markup)
    values = meta.values
    fields = {
        "title": title or values.get("og:title", ""), "body": body,
        "language": values.get("language", "").partition("-")[0], "author": values.get("author", ""),
        "tags": _parted(values.get("keywords", "")),
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value}


def _is_encoding(name: str) -> bool:
    try:
        b"".decode(name)
    except (LookupError, ValueError):
        return False
    return bool(name)


def pdf(content: bytes) -> Fields:
    """Return the text of a PDF; raises RowRefused for one that is locked, damaged, too long, or a scan."""
    from pypdf import PdfReader  # loaded by the process that reads files only
    from pypdf.errors import PyPdfError

    # The library raises whatever a damaged file leads it to; a RuntimeError is a filter that it does not know.
    damaged = (
        PyPdfError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, AssertionError, OSError,
        RuntimeError, struct.error, zlib.error,
    )  # fmt: skip
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        pages = _pdf_pages(reader)
        meta: Mapping[str, Any] = reader.metadata or {}
    except (RowRefused, RecursionError):
        raise
    except damaged as error:
        raise RowRefused("bad_document.file", reason=str(error)[:200] or type(error).__name__) from error
    fields = {
        "title": str(meta.get("/Title") or "").strip(), "body": "\n\n".join(pages),
        "author": str(meta.get("/Author") or "").strip(), "tags": _parted(str(meta.get("/Keywords") or "")),
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value}


def _pdf_pages(reader: Any) -> list[str]:
    """Return the texts of the pages of a PDF that have any; raises RowRefused."""
    if reader.is_encrypted and not reader.decrypt(""):
        raise RowRefused("bad_document.password")
    if len(reader.pages) > MOST_PAGES:
        raise RowRefused("bad_document.pages", most=MOST_PAGES)
    pages: list[str] = []
    characters = 0
    for page in reader.pages:
        pages.append(page.extract_text().strip())
        characters += len(pages[-1])
        if characters > MOST_CHARACTERS:
            raise RowRefused("bad_document.text")
    if not any(pages):
        raise RowRefused("bad_document.scan")
    return list(filter(None, pages))


def _parted(text: str) -> list[str]:
    return [part.strip() for part in re.split("[,;]", text) if part.strip()]


def zipped(read: Callable[[zipfile.ZipFile], Fields]) -> Callable[[bytes], Fields]:
    """Return a reader of the bytes of an archive, which refuses its row if the archive is damaged."""

    def reader(content: bytes) -> Fields:
        try:
            with opened_archive(io.BytesIO(content)) as archive:
                return read(archive)
        except FileUnusable as error:
            raise RowRefused("bad_document.file", reason=error) from error
        except (KeyError, *DAMAGED_ARCHIVE) as error:
            raise RowRefused("bad_document.file", reason=str(error)[:200]) from error

    return reader


def word(archive: zipfile.ZipFile) -> Fields:
    """Return the text of a document of Word, a paragraph a line."""
    paragraphs: list[str] = []
    with archive.open("word/document.xml") as stream:
        for paragraph in elements(stream, "p"):
            paragraphs.append("".join(_word_text(paragraph)))
            _check_length(paragraphs)
    fields = _properties(archive, "docProps/core.xml")
    return {**fields, "body": "\n".join(paragraphs).strip()}


def _word_text(element: Element) -> Iterator[str]:
    for part in element.iter():
        kind = local_name(part)
        if kind == "t":
            yield part.text or ""
        elif kind in ("tab", "br", "cr"):
            yield "\t" if kind == "tab" else "\n"


def open_document_text(archive: zipfile.ZipFile) -> Fields:
    paragraphs: list[str] = []
    with archive.open("content.xml") as stream:
        for paragraph in elements(stream, "p", "h"):
            paragraphs.append(paragraph_text(paragraph))
            _check_length(paragraphs)
    return {**_properties(archive, "meta.xml"), "body": "\n".join(paragraphs).strip()}


def _check_length(paragraphs: list[str]) -> None:
    if len(paragraphs) % 1_000 == 0 and sum(map(len, paragraphs)) > MOST_CHARACTERS:
        raise RowRefused("bad_document.text")


def _properties(archive: zipfile.ZipFile, path: str) -> Fields:
    """Return what Dublin Core and the keywords of an office document say of it."""
    names = {"title": "title", "creator": "author", "language": "language", "subject": "tags", "keyword": "tags"}
    fields: Fields = {}
    if path in archive.namelist():
        with archive.open(path) as stream:
            for element in elements(stream, *names, "keywords"):
                name, text = names.get(local_name(element), "tags"), (element.text or "").strip()
                if name == "tags":
                    fields["tags"] = [*fields.get("tags", []), *_parted(text)]
                elif text:
                    fields.setdefault(name, text.partition("-")[0] if name == "language" else text)
    return {name: value for name, value in fields.items() if value}


def epub(archive: zipfile.ZipFile) -> Fields:
    """Return the text of a book, its chapters in their order."""
    with archive.open("META-INF/container.xml") as stream:
        package = next((element.get("full-path", "") for element in elements(stream, "rootfile")), "")
    fields = _properties(archive, package)
    paths, order = {}, []
    with archive.open(package) as stream:
        for element in elements(stream, "item", "itemref"):
            if local_name(element) == "item":
                paths[element.get("id", "")] = element.get("href", "")
            else:
                order.append(element.get("idref", ""))
    folder = package.rpartition("/")[0]
    chapters: list[str] = []
    for path in filter(None, (paths.get(number, "") for number in order)):
        whole = f"{folder}/{path}" if folder else path
        if whole in archive.namelist():
            chapters.append(html_page(decoded(archive.read(whole)))[1])
            if sum(map(len, chapters)) > MOST_CHARACTERS:
                raise RowRefused("bad_document.text")
    return {**fields, "body": "\n\n".join(filter(None, chapters))}


READERS: dict[str, Callable[[bytes], Fields]] = {
    "txt": plain_text, "text": plain_text, "md": markdown, "markdown": markdown,
    "html": html_document, "htm": html_document, "xhtml": html_document,
    "pdf": pdf, "docx": zipped(word), "odt": zipped(open_document_text), "epub": zipped(epub),
}  # fmt: skip
