"""The collections page and command: what is listed, who may change what, and deleting one whole."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from config import Settings
from indexes.access import set_private
from indexing.collections import delete_collection
from models import Collection, Document, DocumentTag, Embedding, TagCount, db
from operations.keys import create_key
from pages import collections as collection_pages
from tests.collections import fill
from tests.commands import run
from tests.documents import document, stands_right, write
from tests.visits import page, signed_in


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Three collections, of which one is private."""
    with app.app_context():
        fill(db.session())
        write(db.session(), *(document(f"{n}", f"coin {n}", "text", "shared") for n in range(7)), collection="coins")
        write(db.session(), document("s", "hidden"), collection="closed")
        set_private(db.session(), "closed", is_private=True)
    return app.test_client()


def names(client: FlaskClient) -> list[str]:
    text = client.get("/collections").get_data(as_text=True)
    return re.findall(r"<h2><a[^>]*><bdi>(.*?)</bdi>", text)


def test_everybody_sees_the_public_ones_and_changes_none(client: FlaskClient) -> None:
    found = page(client, "/collections?lang=en")
    assert names(client) == ["coins", "house"]
    assert found.all("form") == []
    assert [row["name"] for row in client.get("/api/collections").get_json()["collections"]] == ["coins", "house"]
    for path in ("/collections/access", "/collections/delete"):
        assert client.post(path, data={"name": "coins", "typed": "coins"}).status_code in (303, 400, 401)
    assert client.get("/collections/delete?name=coins").status_code == 303


def test_each_says_how_much_and_in_which_languages(client: FlaskClient) -> None:
    rows = {row["name"]: row for row in client.get("/api/collections").get_json()["collections"]}
    assert (rows["house"]["documents"], rows["house"]["languages"]) == (5, ["he", "en"])
    assert rows["coins"]["last_added_at"] > 1_700_000_000
    found = page(client, "/collections?lang=en")
    [csv] = [link["href"] for link in found.all("a") if "format=csv" in link["href"] and "house" in link["href"]]
    assert client.get(csv).get_data(as_text=True).count("\n") >= 6


def test_an_admin_makes_one_private_and_public(client: FlaskClient, app: Flask) -> None:
    admin = signed_in(app.test_client())
    for access, sees in (("private", ["house"]), ("public", ["coins", "house"])):
        token = page(admin, "/collections").all("input", name="csrf_token")[0]["value"]
        sent = admin.post("/collections/access", data={"csrf_token": token, "name": "coins", "access": access})
        assert sent.status_code == 303
        assert [row["name"] for row in client.get("/api/collections").get_json()["collections"]] == sees


def test_a_collection_is_deleted_once_its_name_is_typed(client: FlaskClient, app: Flask) -> None:
    admin = signed_in(app.test_client())
    found = page(admin, "/collections/delete?name=coins&lang=en")
    fields = {"csrf_token": found.one("input", name="csrf_token")["value"], "name": "coins"}
    wrong = admin.post("/collections/delete", data=fields | {"typed": "coin"})
    assert (wrong.status_code, "nothing was deleted" in wrong.get_data(as_text=True)) == (422, True)
    assert client.get("/api/search?q=coin&mode=text").get_json()["total"] == 7
    assert admin.post("/collections/delete", data=fields | {"typed": " coins "}).status_code == 303
    assert client.get("/api/search?q=coin&mode=text").get_json()["total"] == 0
    assert names(client) == ["house"]
    with app.app_context():
        stands_right(db.session())


def test_a_large_one_is_left_to_the_command(client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection_pages, "MOST_DELETED", 6)
    admin = signed_in(app.test_client())
    text = admin.get("/collections/delete?name=coins").get_data(as_text=True)
    assert "flask --app app collection delete" in text
    token = page(admin, "/collections").all("input", name="csrf_token")[0]["value"]
    sent = admin.post("/collections/delete", data={"csrf_token": token, "name": "coins", "typed": "coins"})
    assert sent.status_code == 422
    assert client.get("/api/search?q=coin&mode=text").get_json()["total"] == 7


def test_what_is_not_there_or_not_ones_own_is_not_found(client: FlaskClient, app: Flask) -> None:
    with app.app_context():
        key = create_key(db.session(), "writes", ["read", "write"])[1]
    assert signed_in(app.test_client(), key).get("/collections/delete?name=coins").status_code == 403
    assert signed_in(app.test_client()).get("/collections/delete?name=none").status_code == 404


def test_deleting_goes_on_where_it_was_broken_off(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexing.collections.DELETED_AT_ONCE", 3)
    with app.app_context():
        assert next(delete_collection(db.session(), "coins")) == 3
        assert client.get("/api/search?q=coin&mode=text").get_json()["total"] == 4
        assert list(delete_collection(db.session(), "coins"))[-1] == 4
        assert db.session.execute(select(func.count()).select_from(Collection)).scalar_one() == 2
        stands_right(db.session())


def test_nothing_of_it_stays(client: FlaskClient, app: Flask) -> None:
    with app.app_context():
        for name in ("house", "coins", "closed"):
            list(delete_collection(db.session(), name))
        for table in (Document, DocumentTag, Embedding, TagCount, Collection):
            assert db.session.execute(select(func.count()).select_from(table)).scalar_one() == 0, table
        stands_right(db.session())
    assert "There are no collections yet" in client.get("/collections?lang=en").get_data(as_text=True)


def test_the_command_asks_and_deletes(client: FlaskClient, settings: Settings) -> None:
    refused = run(settings, "collection", "delete", "coins")
    assert refused.returncode != 0
    deleted = run(settings, "collection", "delete", "coins", "--yes")
    assert (deleted.returncode, deleted.stdout) == (0, "Deleted 7 documents.\n")
    assert client.get("/api/search?q=coin&mode=text").get_json()["total"] == 0
    assert run(settings, "collection", "delete", "coins", "--yes").returncode == 2
