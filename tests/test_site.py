"""What browsers and crawlers look for: addresses for search engines, robots, the sitemap, the manifest, icons."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from config import Settings
from indexes.access import set_private
from models import db
from pages import site as site_module
from tests.conftest import closed
from tests.documents import document, write
from tests.markup import Page

SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
OPENSEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
COUNT = 60
DOCUMENT = "/documents/a/1%20%D7%91"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    with app.app_context():
        write(db.session(), *(document(f"a/{n} ב", f"מטבע {n}", 'גוף "ישן" <b>') for n in range(COUNT)))
        write(db.session(), document("secret", "hidden"), collection="closed")
        set_private(db.session(), "closed", is_private=True)
    return app.test_client()


def parsed(data: bytes) -> ET.Element:
    return ET.fromstring(data)  # noqa: S314 - the site's own


def page(client: FlaskClient, path: str, **headers: str) -> Page:
    answer = client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200
    return Page(answer.get_data(as_text=True))


def links(found: Page, rel: str) -> dict[str, str]:
    return {link.get("hreflang", ""): link["href"] for link in found.all("link") if link.get("rel") == rel}


def meta(found: Page) -> dict[str, str]:
    named = [(one.get("name") or one.get("property"), one.get("content", "")) for one in found.all("meta")]
    return {str(name): content for name, content in named if name}


@pytest.mark.parametrize(
    "path", ["/", "/?lang=en", "/documents/a/1%20%D7%91", "/documents/a/1%20%D7%91?collection=documents&lang=he"]
)
def test_a_page_for_search_engines_has_an_address_per_language(client: FlaskClient, path: str) -> None:
    found = page(client, path)
    alternates = links(found, "alternate")
    assert set(alternates) == {"he", "en", "x-default"}
    canonical = links(found, "canonical")[""]
    assert canonical in alternates.values()
    assert ("lang=" in canonical) == ("lang=" in path)
    for language, place in alternates.items():
        own = page(client, place.removeprefix("http://localhost"))
        assert links(own, "canonical")[""] == place
        if language != "x-default":
            assert own.one("html")["lang"] == language
    values = meta(found)
    assert values["description"] == values["og:description"] != ""
    assert values["og:url"] == canonical
    assert values["og:title"]


def test_the_question_is_not_part_of_a_documents_address(client: FlaskClient) -> None:
    found = page(client, DOCUMENT + "?q=%D7%9E%D7%98%D7%91%D7%A2&collection=documents&within=x&tag=y")
    assert links(found, "canonical")[""].partition("?")[2] == "collection=documents"


def test_a_document_is_described_by_its_text(client: FlaskClient) -> None:
    assert meta(page(client, DOCUMENT))["description"] == 'גוף "ישן" <b>'


@pytest.mark.parametrize("path", ["/text?q=a", "/?q=a", "/tags", "/status", "/match", "/?tag=x"])
def test_other_pages_have_none(client: FlaskClient, path: str) -> None:
    found = page(client, path)
    assert links(found, "canonical") == {}
    assert meta(found)["description"]


def test_crawlers_may_read_documents_and_the_first_page_and_no_searches(client: FlaskClient) -> None:
    text = client.get("/robots.txt").get_data(as_text=True)
    assert "Sitemap: http://localhost/sitemap.xml" in text
    read = ("/", "/?lang=en", "/documents/a", "/documents/a?collection=x&lang=he", "/static/a.css", "/sitemap-1.xml")
    for path in read:
        assert not forbidden(text, path), path
    searches = ("/?q=a", "/text?q=a", "/?lang=en&tag=b", "/documents/a?q=b", "/documents/a?collection=c&q=b", "/tags")
    for path in (*searches, "/api/search", "/match"):
        assert forbidden(text, path), path


def forbidden(robots: str, path: str) -> bool:
    """Return whether a rule forbids a path, with * for anything as crawlers read it (RFC 9309)."""
    rules = [line.removeprefix("Disallow: ") for line in robots.splitlines() if line.startswith("Disallow: ")]
    return any(re.match(".*".join(map(re.escape, rule.split("*"))), path) for rule in rules)


def test_a_private_site_is_closed_to_crawlers(settings: Settings) -> None:
    private = create_app(replace(settings, access="private"))
    client = private.test_client()
    assert client.get("/robots.txt").get_data(as_text=True) == "User-agent: *\nDisallow: /\n"
    assert client.get("/sitemap.xml").status_code == 303
    closed(private)


@pytest.mark.parametrize("part_documents", [5_000, 7])
def test_the_sitemap_has_every_public_document_once(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, part_documents: int
) -> None:
    monkeypatch.setattr(site_module, "PART_DOCUMENTS", part_documents)
    index = parsed(client.get("/sitemap.xml").data)
    parts = [str(place.text) for place in index.iter(SITEMAP + "loc")]
    assert len(parts) == -(-COUNT // part_documents)
    found: list[str] = []
    for part in parts:
        answer = client.get(part.removeprefix("http://localhost"))
        assert answer.mimetype == "application/xml"
        found += [str(place.text) for place in parsed(answer.data).iter(SITEMAP + "loc")]
    assert found.count("http://localhost/") == 1
    documents = [place for place in found if "/documents/" in place]
    assert len(documents) == len(set(documents)) == COUNT
    assert client.get(documents[0].removeprefix("http://localhost")).status_code == 200
    assert client.get(f"/sitemap-{len(parts) + 1}.xml").status_code == 404
    assert client.get("/sitemap-0.xml").status_code == 404


def test_an_empty_site_has_a_sitemap(app: Flask) -> None:
    client = app.test_client()
    assert "sitemap-1.xml" in client.get("/sitemap.xml").get_data(as_text=True)
    places = parsed(client.get("/sitemap-1.xml").data).iter(SITEMAP + "loc")
    assert [place.text for place in places] == ["http://localhost/"]


@pytest.mark.parametrize(("lang", "direction"), [("he", "rtl"), ("en", "ltr")])
def test_the_manifest_names_icons_that_exist(client: FlaskClient, lang: str, direction: str) -> None:
    answer = client.get(f"/manifest.webmanifest?lang={lang}")
    assert answer.mimetype == "application/manifest+json"
    manifest = answer.get_json(force=True)
    assert (manifest["lang"], manifest["dir"]) == (lang, direction)
    for icon in manifest["icons"]:
        image = client.get(icon["src"], buffered=True)
        assert (image.status_code, image.mimetype) == (200, "image/png")
        width = int.from_bytes(image.data[16:20], "big")
        assert icon["sizes"] == f"{width}x{width}"


def test_a_browser_can_add_the_search(client: FlaskClient) -> None:
    [place] = [link["href"] for link in page(client, "/").all("link") if link.get("rel") == "search"]
    described = parsed(client.get(place).data)
    [template] = [
        url.get("template", "") for url in described.iter(OPENSEARCH + "Url") if url.get("type") == "text/html"
    ]
    assert template == "http://localhost/?q={searchTerms}"
    assert len(str(described.findtext(OPENSEARCH + "ShortName"))) <= 16


def test_the_icon_is_found_by_its_oldest_name(client: FlaskClient) -> None:
    answer = client.get("/favicon.ico", buffered=True, follow_redirects=True)
    assert (answer.status_code, answer.data[:4]) == (200, b"\0\0\1\0")


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [
        ("en-US,en;q=0.9", "en"),
        ("he-IL,he;q=0.9,en;q=0.8", "he"),
        ("fr, en;q=0.5", "en"),
        ("fr", "he"),
        ("", "he"),
        ("*", "he"),
    ],
)
def test_a_first_visit_is_in_the_browsers_language(client: FlaskClient, accepted: str, lang: str) -> None:
    assert page(client, "/", Accept_Language=accepted).one("html")["lang"] == lang


def test_a_chosen_language_stays(client: FlaskClient) -> None:
    page(client, "/?lang=he", Accept_Language="en")
    found = client.get("/", headers={"Accept-Language": "en"})
    assert Page(found.get_data(as_text=True)).one("html")["lang"] == "he"
    assert "Accept-Language" in str(client.get("/").vary)
