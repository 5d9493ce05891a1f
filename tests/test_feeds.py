"""A search as an Atom feed: well-formed whatever the documents say, its newest matches first."""

from __future__ import annotations

from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient

from indexing.documents import NewDocument, write_documents
from models import db
from tests.markup import Page
from web.feeds import ENTRIES

ATOM = "{http://www.w3.org/2005/Atom}"
EVIL = NewDocument(
    own_id="a/b c?d%", title="כותרת <b>&amp; \x0b סוף", body="מטבע \x01 \ufffe 🪙 ]]> <script>", tags=("a&b", 'ת"ג'),
    url="https://example.org/?a=1&b=2", language="he",
)  # fmt: skip


@pytest.fixture
def reader(app: Flask) -> FlaskClient:
    with app.app_context():
        old = [NewDocument(own_id=f"{n}", title=f"מטבע {n}", body="מטבע ישן") for n in range(ENTRIES + 5)]
        write_documents(db.session(), "many", old)
        write_documents(db.session(), "evil", [EVIL])
    return app.test_client()


def read_feed(client: FlaskClient, address: str) -> ET.Element:
    answer = client.get(address)
    assert (answer.status_code, answer.mimetype) == (200, "application/atom+xml")
    return ET.fromstring(answer.data)  # noqa: S314 - the site's own


def test_a_feed_has_what_a_reader_needs(reader: FlaskClient) -> None:
    feed = read_feed(reader, "/text?format=atom&q=" + quote("מטבע") + "&lang=en")
    assert feed.findtext(ATOM + "title") == "מטבע · Matmon"
    assert feed.findtext(ATOM + "author/" + ATOM + "name")
    links = {link.get("rel"): link.get("href", "") for link in feed.findall(ATOM + "link")}
    assert links["self"].startswith("http://localhost/text?")
    assert "format=atom" in links["self"]
    assert "format" not in links["alternate"]
    entries = feed.findall(ATOM + "entry")
    assert len(entries) == ENTRIES
    times = [str(entry.findtext(ATOM + "published")) for entry in entries]
    assert times == sorted(times, reverse=True)
    assert len({entry.findtext(ATOM + "id") for entry in entries}) == ENTRIES
    assert feed.findtext(ATOM + "updated") == max(str(entry.findtext(ATOM + "updated")) for entry in entries)


def test_any_text_is_well_formed_xml(reader: FlaskClient) -> None:
    [entry] = read_feed(reader, "/?format=atom&collection=evil").findall(ATOM + "entry")
    assert "כותרת <b>&amp;" in str(entry.findtext(ATOM + "title"))
    assert [tag.get("term") for tag in entry.findall(ATOM + "category")] == ["a&b", 'ת"ג']
    own = str(entry.findtext(ATOM + "id")).removeprefix("http://localhost")
    assert reader.get(own).status_code == 200
    related = [link.get("href") for link in entry.findall(ATOM + "link") if link.get("rel") == "related"]
    assert related == [EVIL.url]


def test_a_feed_of_nothing_is_a_feed(reader: FlaskClient) -> None:
    feed = read_feed(reader, "/text?format=atom&q=zzzqqq")
    assert feed.findall(ATOM + "entry") == []
    assert feed.findtext(ATOM + "updated")


def test_the_page_and_the_api_lead_to_it(reader: FlaskClient) -> None:
    found = Page(reader.get("/text?q=" + quote("מטבע")).get_data(as_text=True))
    linked = found.one("link", type="application/atom+xml")["href"]
    assert len(read_feed(reader, linked).findall(ATOM + "entry")) == ENTRIES
    assert len(read_feed(reader, "/api/search?format=atom&q=" + quote("מטבע")).findall(ATOM + "entry")) == ENTRIES
