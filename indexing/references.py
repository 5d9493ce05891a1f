"""Reads lists of references: BibTeX and RIS."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from indexing.encodings import decoded
from indexing.rows import Row, RowRefused

# What the tags of RIS are called here; those not named are left out.
_RIS = {
    "TI": "title", "T1": "title", "CT": "title", "AB": "abstract", "N2": "abstract", "AU": "author", "A1": "author",
    "A2": "editor", "ED": "editor", "KW": "keywords", "UR": "url", "L1": "url", "DO": "doi", "PY": "year", "Y1": "year",
    "JO": "journal", "JF": "journal", "T2": "journal", "LA": "language", "ID": "id", "PB": "publisher", "SN": "number",
    "TY": "type", "N1": "notes", "VL": "volume",
}  # fmt: skip
_SEVERAL = frozenset(("author", "editor", "keywords"))
_RIS_LINE = re.compile(r"([A-Z][A-Z0-9])  ?-(?: (.*))?$")
_ENTRY = re.compile(r"@\s*(\w+)\s*([{(])\s*")
_FIELD = re.compile(r"\s*,?\s*([\w\-:]+)\s*=\s*")
_WORD = re.compile(r"[^\s,#{}()\"]+")
_ACCENT = re.compile(r"\\(['`^\"~=.cvuHkr])\s*\{?\\?([A-Za-z])\}?")
_MARKS = "\u0301\u0300\u0302\u0308\u0303\u0304\u0307\u0327\u030c\u0306\u030b\u0328\u030a"
_ACCENTS = dict(zip("'`^\"~=.cvuHkr", _MARKS, strict=True))
_LETTERS = {"ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "aa": "å", "i": "ı"}
_COMMAND = re.compile(r"\\(ss|ae|AE|oe|aa|o|O|l|L|i)(?![A-Za-z])\s*")
_AND = re.compile(r"\s+and\s+")


def reference_rows(content: bytes, suffix: str) -> Iterator[Row]:
    """Yield the references of a file as rows."""
    text = decoded(content)
    yield from (ris_rows(text) if suffix == "ris" else bibtex_rows(text))


def ris_rows(text: str) -> Iterator[Row]:
    """Yield references of RIS; a line without a tag continues the one before."""
    fields: dict[str, Any] = {}
    name, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        tag = _RIS_LINE.match(line.lstrip("\ufeff"))
        if tag and tag[1] == "ER":
            if fields:
                yield Row(start, fields)
            fields, name = {}, ""
        elif tag:
            if not fields:
                start = number
            name = _RIS.get(tag[1], "")
            _add(fields, name, (tag[2] or "").strip())
        elif name and line.strip() and isinstance(fields.get(name), str):
            fields[name] += "\n" + line.strip()
    if fields:
        yield Row(start, fields)


def _add(fields: dict[str, Any], name: str, value: str) -> None:
    if not name or not value:
        return
    if name in _SEVERAL:
        fields.setdefault(name, []).append(value)
    else:
        fields.setdefault(name, value)


def bibtex_rows(text: str) -> Iterator[Row]:
    """Yield references of BibTeX; an entry whose braces do not end is refused, and the next one read."""
    strings: dict[str, str] = {}
    place, line, counted = 0, 1, 0
    while entry := _ENTRY.search(text, place):
        line += text.count("\n", counted, entry.start())
        counted = entry.start()
        kind = entry[1].lower()
        end = _closing(text, entry.end(), "}" if entry[2] == "{" else ")")
        if end is None:
            yield Row(line, None, RowRefused("bad_document.braces"), text[entry.start() : entry.start() + 200])
            place = entry.end()
            continue
        inside, place = text[entry.end() : end], end + 1
        if kind == "string":
            strings |= {name.lower(): value for name, value in _bibtex_fields(inside, strings)}
        elif kind not in ("comment", "preamble"):
            key, _, rest = inside.partition(",")
            fields = {"id": key.strip(), "type": kind, **dict(_bibtex_fields(rest, strings))}
            yield Row(line, {name: _value(name, value) for name, value in fields.items() if value})


def _closing(text: str, start: int, mark: str) -> int | None:
    """Return where an entry ends: at its closing mark outside of inner braces."""
    depth = 0
    for match in re.compile(r"\\.|[{})]|\n@").finditer(text, start):
        if match[0] == mark and depth == 0:
            return match.start()
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
        elif match[0] == "\n@":  # the next entry
            return None
    return None


def _bibtex_fields(text: str, strings: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of `name = {value}`, "value", a number, a string's name, or several joined by `#`."""
    place = 0
    while field := _FIELD.match(text, place):
        parts, place = [], field.end()
        while place < len(text):
            if text[place] == "{":
                end = _closing(text, place + 1, "}")
                end = len(text) if end is None else end
                parts.append(text[place + 1 : end])
            elif text[place] == '"':
                end = _quote_end(text, place + 1)
                parts.append(text[place + 1 : end])
            elif word := _WORD.match(text, place):
                end = word.end() - 1
                parts.append(strings.get(word[0].lower(), word[0]))
            else:
                break
            joined = re.compile(r"\s*#\s*").match(text, end + 1)
            place = joined.end() if joined else end + 1
            if not joined:
                break
        yield field[1].lower(), "".join(parts)


def _quote_end(text: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"\\.|[{}\"]").finditer(text, start):
        if match[0] == '"' and depth == 0:
            return match.start()
        depth += {"{": 1, "}": -1}.get(match[0], 0)
    return len(text)


def _value(name: str, value: str) -> str | list[str]:
    text = plain_latex(value)
    if name == "keywords":
        return [part.strip() for part in re.split("[,;]", text) if part.strip()]
    return _AND.sub("; ", text) if name in ("author", "editor") else text


def plain_latex(text: str) -> str:
    """Return a text without the braces, accents and marks of LaTeX."""
    if "\\" in text:
        text = _ACCENT.sub(lambda match: unicodedata.normalize("NFC", match[2] + _ACCENTS[match[1]]), text)
        text = _COMMAND.sub(lambda match: _LETTERS[match[1]], text)
        text = re.sub(r"\\([&%$#_{}\"'])", r"\1", text)
        text = re.sub(r"\\[A-Za-z]+\*?\s*", "", text)
    return " ".join(re.sub("[{}~]", lambda match: " " if match[0] == "~" else "", text).replace("--", "–").split())
