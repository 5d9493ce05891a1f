"""What is imported from the web: feeds, sitemaps, pages and files; and what is never fetched."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from indexing import fetching, web_sources
from indexing.fetching import Fetcher, checked_address, is_public
from indexing.layout import Options
from indexing.previews import Preview, preview
from indexing.rows import FileUnusable
from indexing.web_sources import download
from tests.files_server import Files, serving

RSS = """<?xml version="1.0"?><rss xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>All</title><item><title>הים &amp; החוף</title>
<link>https://a.example/1</link><guid>one</guid><category>ים</category><category>קיץ</category><dc:creator>דנה</dc:creator>
<description>short</description><content:encoded>&lt;p&gt;long&lt;/p&gt;&lt;p&gt;text&lt;/p&gt;</content:encoded></item>
<item><title>Second</title><link>https://a.example/2</link></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>All</title><entry>
<title type="html">A &lt;b&gt;title&lt;/b&gt;</title><link rel="self" href="https://a.example/self"/><link href="https://a.example/3"/><id>urn:3</id>
<author><name>Dana</name></author><category term="sea"/><summary>about it</summary></entry></feed>"""
PAGE = '<!doctype html><html lang="en"><head><title>{0}</title></head><body><p>About {0}</p></body></html>'


@pytest.fixture
def web() -> Iterator[Files]:
    with serving(Files({})) as files:
        yield files


def everywhere() -> Fetcher:
    return Fetcher(is_allowed=lambda _: True)


def put(web: Files, **files: str | bytes) -> None:
    web.files |= {
        f"/{name.replace('_', '.')}": text.encode() if isinstance(text, str) else text for name, text in files.items()
    }


def fetched(web: Files, path: str, folder: Path) -> Preview:
    return preview(download(f"{web.url}/{path}", folder, everywhere(), pause_s=0), Options(), most=20)


def test_a_feed_is_read_entry_by_entry(web: Files, tmp_path: Path) -> None:
    put(web, feed_xml=RSS, atom_xml=ATOM)
    first, second = fetched(web, "feed.xml", tmp_path).documents
    assert (first.own_id, first.title, first.body) == ("one", "הים & החוף", "long\n\ntext")
    assert (first.tags, first.url, first.extra) == (("ים", "קיץ"), "https://a.example/1", {"author": "דנה"})
    assert (second.own_id, second.title) == ("https://a.example/2", "Second")
    (entry,) = fetched(web, "atom.xml", tmp_path).documents
    assert (entry.own_id, entry.title, entry.body, entry.tags) == ("urn:3", "A title", "about it", ("sea",))
    assert entry.url == "https://a.example/3"


def test_a_sitemap_is_read_page_by_page_within_its_site_and_its_robots_txt(web: Files, tmp_path: Path) -> None:
    def sitemap(kind: str, *urls: str) -> str:
        part = "sitemap" if kind == "sitemapindex" else "url"
        return f"<{kind}>" + "".join(f"<{part}><loc>{url}</loc></{part}>" for url in urls) + f"</{kind}>"

    pages = [f"{web.url}/{name}" for name in ("a.html", "b.html", "missing.html", "secret.html")]
    put(
        web,
        robots_txt="User-agent: *\nDisallow: /secret.html\n",
        index_xml=sitemap("sitemapindex", f"{web.url}/one.gz", "https://other.example/sitemap.xml"),
        one_gz=gzip.compress(sitemap("urlset", *pages, "https://other.example/x").encode()),
        a_html=PAGE.format("Sea"),
        b_html=PAGE.format("Wheat"),
        secret_html=PAGE.format("Secret"),
    )
    found = fetched(web, "index.xml", tmp_path)
    assert [(one.own_id, one.title, one.body) for one in found.documents] == [
        (pages[0], "Sea", "About Sea"), (pages[1], "Wheat", "About Wheat"),
    ]  # fmt: skip
    reasons = {row.raw: row.reason for row in found.refused}
    assert "answers with the status 404" in reasons[pages[2]]
    assert "robots.txt" in reasons[pages[3]]
    assert reasons["https://other.example/x"] == "a page of another site: left out"
    assert not any(path == "/secret.html" for _, path, _ in web.asked)


def test_a_page_and_a_file_are_read_as_what_they_are(web: Files, tmp_path: Path) -> None:
    put(web, page=PAGE.format("Sea"), books_csv="title,year\na,1\nb,2\n")
    (page,) = fetched(web, "page", tmp_path).documents
    assert (page.own_id, page.title, page.language) == (f"{web.url}/page", "Sea", "en")
    assert [one.title for one in fetched(web, "books.csv", tmp_path).documents] == ["a", "b"]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.1.2.3", "224.0.0.1", "::1", "fe80::1",
     "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "255.255.255.255"],
)  # fmt: skip
def test_no_address_but_a_public_one_is_allowed(address: str) -> None:
    assert not is_public(ip_address(address))
    assert is_public(ip_address("93.184.216.34"))
    assert is_public(ip_address("2606:2800:220:1:248:1893:25c8:1946"))


def test_a_private_host_is_refused_before_anything_is_sent(web: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    port = web.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433"):
        with pytest.raises(FileUnusable, match=r"on a private network|cannot be reached"):
            Fetcher().fetch(f"http://{host}:{port}/")
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(FileUnusable, match="on a private network"):
        Fetcher().fetch(f"http://rebinding.example:{port}/")
    assert web.asked == []


class _Redirecting(BaseHTTPRequestHandler):
    """Sends /x%3A… on to what its path says, and /loop to itself."""

    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/robots.txt" else 302)
        self.send_header("Location" if self.path != "/robots.txt" else "X-Nothing", unquote(self.path[1:]) or "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://10.0.0.1/x", "on a private network"),
        ("//169.254.169.254/latest", "on a private network"),
        ("file:///etc/passwd", "not an address"),
        ("ftp://a.example/", "not an address"),
        ("", "redirects too often"),
    ],
)
def test_redirects_are_checked_like_addresses(target: str, reason: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        with pytest.raises(FileUnusable, match=reason):
            Fetcher(lambda address: address.is_loopback).fetch(
                f"http://127.0.0.1:{server.server_address[1]}/{quote(target, safe='')}"
            )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "address",
    ["ftp://a.example/", "file:///etc/passwd", "http://", "http://user:secret@a.example/", "http://a.example:x/",
     "http://a b.example/", "gopher://a.example/", "http:///x", "https://a.example/\r\nX: y"],
)  # fmt: skip
def test_only_plain_addresses_of_the_web_are_taken(address: str) -> None:
    with pytest.raises(FileUnusable, match="not an address of the web"):
        checked_address(address)


def test_hebrew_addresses_are_encoded() -> None:
    parts = checked_address("https://דוגמה.example:8443/ספר?שם=א")
    assert (parts.netloc, parts.path) == ("xn--6dbbec0c.example:8443", "/%D7%A1%D7%A4%D7%A8")


def test_what_is_too_large_is_refused_also_when_it_is_packed(web: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    put(web, large="x" * 3_000_000, packed=gzip.compress(b"x" * 3_000_000))
    for path in ("large", "packed"):
        with pytest.raises(FileUnusable, match="is larger than 1 MB"):
            everywhere().fetch(f"{web.url}/{path}", 1 << 20)
    monkeypatch.setattr(fetching, "MOST_S", -1.0)
    with pytest.raises(FileUnusable, match="takes longer than"):
        everywhere().fetch(f"{web.url}/large")


def test_a_site_whose_robots_txt_fails_is_not_read(web: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    put(web, page=PAGE.format("Sea"))
    usual = Fetcher._get

    def failing(self: Fetcher, url: str, most_bytes: int) -> tuple[int, fetching.Fetched, str | None]:
        status, answer, target = usual(self, url, most_bytes)
        return (503 if url.endswith("robots.txt") else status), answer, target

    monkeypatch.setattr(Fetcher, "_get", failing)
    with pytest.raises(FileUnusable, match=r"robots\.txt"):
        everywhere().fetch(f"{web.url}/page")


def test_a_sitemap_of_too_many_pages_is_cut_and_says_so(
    web: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_sources, "MOST_PAGES", 1)
    urls = "".join(f"<url><loc>{web.url}/p{number}</loc></url>" for number in range(3))
    put(web, map_xml=f"<urlset>{urls}</urlset>", p0=PAGE.format("Sea"), p1=PAGE.format("Wheat"))
    found = fetched(web, "map.xml", tmp_path)
    assert ([one.title for one in found.documents], len(found.refused)) == (["Sea"], 1)
    assert found.refused[0].reason == "more than 1 pages: the rest is left out"
