"""From a document that a search found to the hit before it and the hit after it."""

from __future__ import annotations

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import db
from runtime import runtime_of
from tests.collections import HOUSE, fill
from tests.documents import document, write
from tests.semantic_side import use_semantic

COUNT = 13  # more than a page


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    with app.app_context():
        write(db.session(), *(document(f"a/{n}", f"coin {n}", "coin " * (n + 1), "money") for n in range(COUNT)))
    return app.test_client()


def link(text: str, rel: str) -> str:
    found = re.search(rf'<a rel="{rel}" href="([^"]+)"', text)
    return unescape(found[1]) if found else ""


@pytest.mark.parametrize("search", ["/text?q=coin", "/?q=coin&sort=title", "/tags?tag=money", "/?q=coin"])
def test_all_hits_are_walked_in_order_and_back(client: FlaskClient, search: str) -> None:
    pages = [client.get(f"{search}&page={page}").get_data(as_text=True) for page in (1, 2)]
    addresses = [unescape(one) for page in pages for one in re.findall(r'<h3><a href="([^"]+)"', page)]
    assert len(addresses) == COUNT
    walked, address = [], addresses[0]
    while address:
        walked.append(address.partition("?")[0])
        address = link(client.get(address).get_data(as_text=True), "next")
    assert walked == [one.partition("?")[0] for one in addresses]
    last = client.get(addresses[-1]).get_data(as_text=True)
    assert link(last, "prev").partition("?")[0] == walked[-2]
    assert link(client.get(addresses[0]).get_data(as_text=True), "prev") == ""


@pytest.mark.parametrize("rank", ["", "0", "-1", "x", "99999999999", "1.5"])
def test_a_rank_that_is_none_leads_nowhere(client: FlaskClient, rank: str) -> None:
    answer = client.get("/documents/a/1", query_string={"q": "coin", "mode": "text", "rank": rank})
    assert answer.status_code == 200
    assert link(answer.get_data(as_text=True), "next") == ""


def test_without_a_search_there_is_no_next_hit(client: FlaskClient) -> None:
    assert link(client.get("/documents/a/1").get_data(as_text=True), "next") == ""


def test_reading_a_document_does_not_load_the_model(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        side = use_semantic(app, fill(db.session()))
    address = f"/documents/{HOUSE[0].own_id}?collection=house&q=זכויות&rank=1"
    assert link(client.get(address).get_data(as_text=True), "next")
    side.lazy.unload()
    assert link(client.get(address).get_data(as_text=True), "next") == ""
    assert runtime_of(app).semantic.lazy.state == "idle"
