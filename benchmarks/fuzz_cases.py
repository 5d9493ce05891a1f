"""Malformed requests of every kind, the same ones for the same number: addresses, headers, forms, JSON and uploads."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

PIECES = (
    *'"\'`-:*()^~&|!\\/<>%_{}[]+#.,;=?@$', *" \t\n\r\0\x01\x1a\x7f\u00a0\u2028\ufeff\u200f\u202e\ufffe\ud800\udfff",
    "AND", "OR", "NEAR(", "tag:", "-tag:", "תגית:", "שלום", 'צה"ל', "שָׁלוֹם", "common", "gardening", "o1", "j1", "jobs",
    "C++", "1,000", "3.14", "x" * 300, "א" * 300, "😀", "İ", "ﬁ", "漢字", "a\u0301" * 9, "' OR 1=1 --", "%s", ":match",
    "{{7*7}}", "<script>", "../../etc/passwd", "..%2f", "%00", "-1", "0", "1e309", "9" * 40, "NaN", "null", "true",
    "[]", "{}", "2030-02-30", "csv", "atom", "jsonl", "hybrid", "semantic", "he", "en", "newest", "title",
)  # fmt: skip
PARAMETERS = (
    "q", "tag", "not_tag", "collection", "language", "sort", "page", "lang", "limit", "mode", "format", "all", "since",
    "prefix", "save", "share", "skills", "job", "against", "profile", "profiles", "id", "part", "next", "status",
    "skill", "samples", "action", "who", "document", "facets", "fields", "offset",
)  # fmt: skip
HEADERS = (
    "Host", "Cookie", "Accept", "Accept-Language", "Accept-Encoding", "Content-Type", "Range", "If-None-Match",
    "If-Modified-Since", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-ID", "Authorization",
    "Referer", "Origin", "Expect", "Connection", "Upgrade", "X-HTTP-Method-Override", "User-Agent", "Forwarded",
)  # fmt: skip
TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
    "",
    "a/b; charset=x",
)
NAMES = (
    "a.csv",
    "a.jsonl",
    "a.json",
    "a.tsv",
    "a.txt",
    "a.zip",
    "a.xlsx",
    "a",
    ".csv",
    "../a.csv",
    "א.csv",
    "a.csv\0.json",
)
MOST_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Case:
    """A request as it is sent; `is_whole` if a server must answer it, since its head and its length are right."""

    kind: str
    data: bytes
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """What there is on the site: (method, path) of its routes, and ids of screenings, searches and imports."""

    routes: Sequence[tuple[str, str]]
    ids: Sequence[str]


class Chance:
    """What is drawn for one case; `token` is that of the forms of whoever asks."""

    def __init__(self, number: int, known: Known, token: str) -> None:
        self.random = random.Random(number)
        self.known, self.token = known, token

    def one(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)

    def text(self, most: int = 6) -> str:
        return "".join(self.random.choices(PIECES, k=self.random.randint(0, most)))

    def bytes(self, most: int = 200) -> bytes:
        return self.random.randbytes(self.random.randint(0, most))

    def value(self, depth: int = 0) -> Any:
        """Return a value of JSON, of any type."""
        kind = self.random.randrange(9 if depth < 4 else 6)
        if kind >= 7:
            return {self.text(1): self.value(depth + 1) for _ in range(self.random.randint(0, 4))}
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.random.randint(0, 5))]
        return (
            self.text(),
            self.random.randint(-(2**70), 2**70),
            self.random.random() * 1e300,
            True,
            None,
            self.text(40),
        )[kind]

    def address(self, method: str = "", under: str = "/") -> tuple[str, str]:
        """Return a method and a path of a route, its parts drawn; half of them with parameters."""
        allowed, path = self.one(
            [each for each in self.known.routes if each[0] == method and each[1].startswith(under)]
        )
        while "<" in path:
            before, _, rest = path.partition("<")
            wrong = self.one(("0", "9007199254740991", quote(self.text(), errors="surrogatepass")))
            path = before + self.one((*self.known.ids, "o1", "o1", wrong)) + rest.partition(">")[2]
        pairs = [f"{self.one(PARAMETERS)}={self.escaped()}" for _ in range(max(self.random.randint(-3, 4), 0))]
        return allowed, path + ("?" + "&".join(pairs) if pairs else "")

    def escaped(self) -> str:
        """Return a value of an address: rightly escaped, or with bytes that are no UTF-8."""
        if self.random.random() < 0.2:
            return quote(self.bytes(20))
        return quote(self.text(), safe=self.one(("", "/:+")), errors="surrogatepass")


def request(method: str, address: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> bytes:
    """Return a request with a right head, but for what the given headers have."""
    named = {name.lower() for name, _ in headers}
    more = [("Host", "localhost")] if "host" not in named else []
    more += [("Content-Length", str(len(body)))] if body or method not in ("GET", "HEAD") else []
    lines = [f"{method} {address} HTTP/1.1", *(f"{name}: {value}" for name, value in [*more, *headers])]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8", "surrogatepass") + body


def page(chance: Chance, headers: Sequence[tuple[str, str]]) -> Case:
    method, address = chance.address("GET")
    return Case("page", request(chance.one((method, "GET", "HEAD", "OPTIONS")), address, headers))


def header(chance: Chance, headers: Sequence[tuple[str, str]]) -> Case:
    """Return a page asked for with strange headers; those that no server can understand need no answer."""
    _, address = chance.address("GET")
    drawn = [(chance.one(HEADERS), chance.text().replace("\n", "").replace("\r", "")) for _ in range(3)]
    broken = any(not value.isprintable() or not value.isascii() for _, value in drawn)
    is_odd = broken or any(name in ("Host", "Connection", "Expect", "Upgrade") for name, _ in drawn)
    return Case("header", request("GET", address, [*headers, *drawn]), is_whole=not is_odd)


def form(chance: Chance, headers: Sequence[tuple[str, str]]) -> Case:
    _, address = chance.address("POST")
    names = (*PARAMETERS, "name", "note", "text", "cv", "key", "scope", "expires", "may_decide", "token", "private")
    pairs = [("csrf_token", chance.token)] if chance.random.random() < 0.8 else []
    pairs += [(chance.one(names), chance.text(12)) for _ in range(chance.random.randint(0, 6))]
    body = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in pairs).encode()
    return Case("form", request("POST", address, [*headers, ("Content-Type", TYPES[1])], body))


def json_body(chance: Chance, headers: Sequence[tuple[str, str]]) -> Case:
    """Return a call of the API: a body of any shape, or one that is no JSON at all."""
    method, address = chance.address(chance.one(("POST", "POST", "PUT", "DELETE")), chance.one(("/api", "/api", "/")))
    names = ("skills", "text", "collection", "limit", "document_id", "title", "job_id", "job_ids", "profiles",
             "address", "name", "status", "note", "id", "body", "tags", "extra", "method", "params",
             "jsonrpc")  # fmt: skip
    drawn = {chance.one(names): chance.value() for _ in range(chance.random.randint(0, 3))}
    if chance.random.random() < 0.6:
        drawn = plausible(chance) | (drawn if chance.random.random() < 0.5 else {})
    whole: bytes = json.dumps(drawn if chance.random.random() < 0.8 else chance.value()).encode()
    nested = b"[" * chance.random.randint(1, 5_000) + b"]" * chance.random.randint(0, 5_000)
    body = chance.one((*[whole] * 9, whole[: chance.random.randint(0, len(whole))], nested, chance.bytes()))
    kind = TYPES[0] if chance.random.random() < 0.85 else chance.one(TYPES)
    return Case("json", request(method, address, [*headers, ("Content-Type", kind)], body))


def plausible(chance: Chance) -> dict[str, Any]:
    """Return a body that some route may take: right names and types, whatever the texts."""
    texts = [chance.text() for _ in range(3)]
    body: dict[str, Any] = chance.one((
        {"id": chance.text(2), "title": texts[0], "body": chance.text(30), "tags": texts, "extra": {texts[0]: "x"}},
        {"skills": texts, "text": chance.text(20), "collection": chance.one(("jobs", "documents", texts[0]))},
        {"skills": ["gardening", *texts], "document_id": chance.one(("j1", texts[0])), "job_ids": ["j1", texts[1]]},
        {"job_id": "j1", "jobs": "jobs", "profiles": chance.one(("documents", "jobs", texts[0]))},
        {"text": f"gardening {chance.text()}", "jobs": "jobs", "profiles": "documents"},
        {"address": f"/text?q={chance.escaped()}", "name": chance.text()},
        {"status": chance.one(("new", "shortlisted", "rejected", texts[0])), "note": chance.text(20)},
        {"jsonrpc": "2.0", "id": 1, "method": chance.one(("tools/list", "tools/call", "initialize", "ping")),
         "params": {"name": chance.one(("search", "fetch", texts[0])), "arguments": {"query": texts[1], "id": "o1"}}},
    ))  # fmt: skip
    return body


def upload(chance: Chance, headers: Sequence[tuple[str, str]]) -> Case:
    """Return a file sent to an import: a table, an archive or a book, whole, cut or of noise."""
    address = chance.one(("/import", "/api/import", "/api/import"))
    content = chance.one((table, lines_of_json, archive, lambda drawn: drawn.bytes(5_000)))(chance)[:MOST_BYTES]
    if chance.random.random() < 0.2:
        content = content[: chance.random.randint(0, len(content))]
    border = "b" * 20
    fields = [
        ("csrf_token", chance.token),
        ("collection", chance.one(("new", chance.text(2)))),
        (chance.one(PARAMETERS), chance.text()),
    ]
    parts = [f'--{border}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields]
    file = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{chance.one(NAMES)}"\r\n\r\n'
    body = ("".join(parts) + file).encode("utf-8", "surrogatepass") + content + f"\r\n--{border}--\r\n".encode()
    if chance.random.random() < 0.15:
        body = body[: chance.random.randint(0, len(body))]
    return Case(
        "upload", request("POST", address, [*headers, ("Content-Type", f"{TYPES[2]}; boundary={border}")], body)
    )


def table(chance: Chance) -> bytes:
    separator = chance.one((",", ";", "\t", "|"))
    names = ["title", *(chance.one(("id", "body", "tags", "skills", "כותרת", chance.text(2))) for _ in range(3))]
    rows = [[chance.text(8) for _ in range(chance.random.randint(0, 6))] for _ in range(chance.random.randint(0, 20))]
    written = "\n".join(separator.join(row) for row in [names, *rows])
    return written.encode(chance.one(("utf-8", "cp1255", "utf-16", "utf-8-sig")), "replace")


def lines_of_json(chance: Chance) -> bytes:
    rows = [{"id": chance.text(1), "title": chance.value(3), chance.text(1): chance.value()} for _ in range(5)]
    return chance.one(("\n", ",", "")).join(json.dumps(row) for row in rows).encode()


def archive(chance: Chance) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for n in range(chance.random.randint(0, 3)):
            made.writestr(
                chance.one((f"{n}.csv", f"x/{n}.csv", f"../{n}.csv", f"xl/{n}.xml", f"{n}.json")), table(chance)
            )
    return file.getvalue()


def raw(chance: Chance, _headers: Sequence[tuple[str, str]]) -> Case:
    """Return what is hardly a request: parts of a right one exchanged, cut or doubled, or noise."""
    whole = page(chance, ()).data
    at, end = sorted(chance.random.randint(0, len(whole)) for _ in range(2))
    lengths = b"POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"
    drawn = (
        whole[:at] + whole[end:],
        whole[:at] + chance.bytes() + whole[end:],
        chance.bytes(),
        lengths,
        whole + whole,
    )
    return Case("raw", chance.one(drawn), is_whole=False)


KINDS: tuple[Callable[[Chance, Sequence[tuple[str, str]]], Case], ...] = (
    page, page, page, header, form, form, json_body, json_body, upload, raw,
)  # fmt: skip


def case(number: int, known: Known, token: str, headers: Sequence[tuple[str, str]]) -> Case:
    """Return the case of a number; `token` and `headers` are of whoever asks."""
    return KINDS[number % len(KINDS)](Chance(number, known, token), headers)
