"""Compressed responses: the same content, for clients that accept it, and smaller."""

from __future__ import annotations

import gzip

import brotli  # type: ignore[import-untyped]
import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import db
from tests.conftest import sqlite_alone
from tests.documents import document, write

database = sqlite_alone

PATHS = ("/text?q=coin", "/api/search?q=coin&mode=text", "/static/style.css", "/static/openapi.json", "/sitemap-1.xml")


@pytest.fixture
def site(app: Flask) -> FlaskClient:
    with app.app_context():
        write(db.session(), *(document(f"{n}", f"coin {n}", "an old coin " * 20, f"tag {n}") for n in range(30)))
    return app.test_client()


def plain(encoding: str, data: bytes) -> bytes:
    return {"br": brotli.decompress, "gzip": gzip.decompress}.get(encoding, bytes)(data)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("br, gzip", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("*", "br"),
    ],
)
def test_what_is_accepted_is_sent(site: FlaskClient, path: str, accepted: str, encoding: str) -> None:
    answer = site.get(path, headers={"Accept-Encoding": accepted}, buffered=True)
    assert answer.headers["Content-Encoding"] == encoding
    assert "Accept-Encoding" in str(answer.vary)
    whole = plain(encoding, answer.data)
    assert whole
    if "search" not in path and "text" not in path:  # these say how long they took
        assert whole == site.get(path, buffered=True).data
    assert len(answer.data) < len(whole) / 2 or path.startswith("/sitemap")


@pytest.mark.parametrize("accepted", ["", "identity", "zstd", "br;q=0", "gzip;q=0, br;q=0", "*;q=0"])
def test_others_get_it_as_it_is(site: FlaskClient, accepted: str) -> None:
    answer = site.get("/static/style.css", headers={"Accept-Encoding": accepted} if accepted else {}, buffered=True)
    assert "Content-Encoding" not in answer.headers
    assert "Accept-Encoding" in str(answer.vary)


def test_a_kept_file_is_not_sent_again(site: FlaskClient) -> None:
    accept = {"Accept-Encoding": "br"}
    etag = site.get("/static/style.css", headers=accept, buffered=True).headers["ETag"]
    again = site.get("/static/style.css", headers={**accept, "If-None-Match": etag}, buffered=True)
    assert (again.status_code, again.data) == (304, b"")


def test_short_answers_errors_and_downloads_stay_as_they_are(site: FlaskClient) -> None:
    accept = {"Accept-Encoding": "br, gzip"}
    for path, status in (("/livez", 200), ("/api/documents/none", 404), ("/text?q=coin&format=csv&all=1", 200)):
        answer = site.get(path, headers=accept, buffered=True)
        assert (answer.status_code, answer.headers.get("Content-Encoding")) == (status, None)


def test_a_page_of_results_is_small_on_the_wire(site: FlaskClient) -> None:
    answer = site.get("/text?q=coin", headers={"Accept-Encoding": "br"}, buffered=True)
    assert len(answer.data) < 8_192
