"""Every id that can be imported can be read, changed, deleted and linked, whatever is in it."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from config import Settings
from indexing.importing import import_file
from indexing.layout import Options
from tests.conftest import settings_for, sqlite_alone
from tests.markup import Page
from tests.servers import serving
from tests.visits import BEARER, TOKEN

IDS = (
    "plain", "חוק/1951/שעות עבודה", "a/similar", "similar", "/similar", "a/b/similar", "..", ".", "../up", "a/../b",
    "a/./b", "a/..", "/first", "last/", "a//b", "//", "/", "a%2Fb", "%", "%2e%2e", "a b", "a+b", "what?",
    "a?b=c&d", "#", "a#b", "\u200frtl\u202e", "a\\b", "a\nb", "a\tb", "a;b", "a:b", "http://a.org/b?c#d", "~", "'\"<>",
    "א" * 255, "e\u0301", "☃", "documents", "1", "null", "a/export", "*",
)  # fmt: skip
COLLECTIONS = ("things", "profiles", "jobs")

database = sqlite_alone  # how ids are stored does not depend on it


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_for(database, tmp_path, rate_limit="10000/minute")


@pytest.fixture
def filled(app: Flask, session: Session, tmp_path: Path) -> FlaskClient:
    """A site where each of these ids was imported into three collections."""
    path = tmp_path / "ids.jsonl"
    rows = [{"id": own_id, "title": f"title {place}", "tags": ["Python"]} for place, own_id in enumerate(IDS)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for collection in COLLECTIONS:
        assert import_file(session, path, Options(collection)).written.new == len(IDS)
    return app.test_client()


def as_browsers_send(address: str) -> str:
    """Return the address as the URL standard has it: segments of dots are resolved, and so are encoded ones."""
    parts = urlsplit(address)
    segments = [part if unquote(part) not in (".", "..") else unquote(part) for part in parts.path.split("/")]
    path = "/".join(segments)
    if any(part in (".", "..") for part in segments):
        path = posixpath.normpath(path)
    return path + (f"?{parts.query}" if parts.query else "")


@pytest.mark.parametrize(("place", "own_id"), [*enumerate(IDS)])
def test_the_api_reads_changes_and_deletes_it_by_the_query(filled: FlaskClient, place: int, own_id: str) -> None:
    query = {"id": own_id, "collection": "things"}
    found = filled.get("/api/documents", query_string=query).get_json()
    assert (found["id"], found["title"]) == (own_id, f"title {place}")
    assert filled.get("/api/similar", query_string=query).status_code == 200
    changed = filled.put("/api/documents", query_string=query, json={"title": "new"}, headers=BEARER)
    assert (changed.status_code, changed.get_json()["id"], changed.get_json()["title"]) == (200, own_id, "new")
    assert filled.delete("/api/documents", query_string=query, headers=BEARER).status_code == 204
    assert filled.get("/api/documents", query_string=query).status_code == 404


@pytest.mark.parametrize(("place", "own_id"), [*enumerate(IDS)])
def test_the_api_reads_changes_and_deletes_it_by_the_path(filled: FlaskClient, place: int, own_id: str) -> None:
    path = f"/api/documents/{quote(own_id, safe='')}?collection=things"
    found = filled.get(path)
    if own_id == "a/similar":  # "a" is not there
        assert found.get_json()["id"] == own_id
    assert (found.status_code, found.get_json().get("title")) == (200, f"title {place}")
    changed = filled.put(path, json={"title": "new"}, headers=BEARER)
    assert (changed.status_code, changed.get_json()["id"]) == (200, own_id)
    assert filled.delete(path, headers=BEARER).status_code == 204
    assert filled.get(path).status_code == 404


def test_similar_documents_win_over_an_id_that_looks_like_their_address(filled: FlaskClient) -> None:
    made = {"title": "one", "collection": "things"}
    assert filled.put("/api/documents/a", json=made, headers=BEARER).status_code == 201
    assert "hits" in filled.get("/api/documents/a/similar?collection=things").get_json()
    assert filled.get("/api/documents?id=a/similar&collection=things").get_json()["id"] == "a/similar"


def links(answer: TestResponse, start: str) -> list[str]:
    assert answer.status_code == 200
    found = [link["href"] for link in Page(answer.get_data(as_text=True)).all("a")]
    return [link for link in dict.fromkeys(found) if link.startswith(start)]


def heading(answer: TestResponse) -> str:
    assert answer.status_code == 200
    (text,) = re.findall("<h1[^>]*>(.*?)</h1>", answer.get_data(as_text=True), re.DOTALL)
    return re.sub("<[^>]*>", "", text).strip()


@pytest.mark.parametrize(("place", "own_id"), [*enumerate(IDS)])
def test_the_links_of_every_page_lead_to_it(filled: FlaskClient, place: int, own_id: str) -> None:
    found = filled.get("/text", query_string={"q": f'"title {place}"', "collection": "things"})
    pages = [filled.get(as_browsers_send(link)) for link in links(found, "/documents")]
    (own,) = [page for page in pages if heading(page) == f"title {place}"]
    (exported,) = links(own, "/api/documents")
    assert filled.get(as_browsers_send(exported)).get_json()["id"] == own_id


@pytest.mark.parametrize(("place", "own_id"), [*enumerate(IDS)])
def test_matching_takes_it_for_a_job(filled: FlaskClient, place: int, own_id: str) -> None:
    page = filled.get("/match", query_string={"job": own_id, "skills": "Python"})
    assert heading(filled.get(as_browsers_send(links(page, "/documents")[0]))) == f"title {place}"
    compared = filled.get("/match/compare", query_string={"against": own_id, "profile": [own_id]})
    assert compared.status_code == 200
    gap = filled.post("/api/skill-gap", json={"document_id": own_id, "skills": ["Python"]}).get_json()
    assert gap["document"] == {"id": own_id, "title": f"title {place}"}


def test_a_decision_is_stored_for_every_profile(filled: FlaskClient, app: Flask) -> None:
    begun = filled.post("/api/screenings", json={"text": "Python"}).get_json()
    app.runtime.screenings.join(60)  # type: ignore[attr-defined]
    for own_id in IDS:
        for path, query in (("profiles", {"id": own_id}), (f"profiles/{quote(own_id, safe='')}", {})):
            answer = filled.put(f"{begun['address']}/{path}", query_string=query, json={"status": "rejected"})
            assert (answer.status_code, answer.get_json().get("id")) == (200, own_id), path
    results = filled.get(begun["address"], query_string={"limit": 100}).get_json()["results"]
    assert {row["id"]: row["status"] for row in results} == dict.fromkeys(IDS, "rejected")


def test_an_id_is_read_as_it_is_stored(filled: FlaskClient) -> None:
    assert filled.put("/api/documents/%20x%20", json={"title": "a"}, headers=BEARER).get_json()["id"] == "x"
    for path in ("/api/documents/%20x", "/api/documents/x", "/documents/x%20", "/documents?id=%20x"):
        assert filled.get(path).status_code == 200, path
    for path in ("/api/documents/%20", "/api/documents?id=", "/api/documents"):
        assert filled.put(path, json={"title": "a"}, headers=BEARER).status_code == 422, path
    assert filled.get("/documents").status_code == 404


def test_a_real_server_passes_ids_on_as_they_are(database: str, tmp_path: Path) -> None:
    with serving(tmp_path, DATABASE_URL=database, ADMIN_TOKEN=TOKEN) as server:
        for own_id in IDS:
            path = f"/api/documents/{quote(own_id, safe='')}"
            body = json.dumps({"title": "a"}).encode()
            stored = server.send("PUT", path, body, Content_Type="application/json", **BEARER)
            assert (stored.status, stored.json["id"]) == (201, own_id)
            assert server.send("DELETE", path, None, **BEARER).status == 204
            assert server.send("GET", f"/api/documents?id={quote(own_id, safe='')}").status == 404
