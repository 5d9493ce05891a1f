"""Adding, editing and deleting documents in the browser: what is stored, what is refused, and nothing typed is lost."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from indexing.documents import NewDocument, write_documents
from models import AuditEntry, Document, db
from operations.keys import create_key
from search.documents import DocumentPage, document_page
from tests.markup import Page
from tests.visits import signed_in

STORED = NewDocument(
    "a/b c", "ספר ישן", "שורה ראשונה\n\nשורה שנייה", ("ספרים", "a, b"), "he", extra={"author": "דנה", "pages": 320},
)  # fmt: skip


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    with app.app_context():
        write_documents(db.session(), "books", [STORED])
        write_documents(db.session(), "other", [NewDocument("x", "other", "text")])
    return signed_in(app.test_client())


def form_of(client: FlaskClient, address: str) -> dict[str, Any]:
    """Return the fields of a form as a browser would send them unchanged."""
    answer = client.get(address)
    assert answer.status_code == 200
    text = answer.get_data(as_text=True)
    found = Page(text)
    values: dict[str, Any] = {"column": [], "value": []}
    for field in found.all("input"):
        name, value = field.get("name", ""), field.get("value", "")
        if name in ("column", "value"):
            values[name].append(value)
        elif name:
            values.setdefault(name, value)
    for name, value in re.findall(r'<textarea name="(\w+)"[^>]*>\n(.*?)</textarea>', text, re.DOTALL):
        values[name] = html.unescape(value).replace("\n", "\r\n")
    return values


EDIT = "/edit?id=a/b+c&collection=books&lang=en"


def stored(app: Flask, own_id: str = "a/b c", collection: str = "books") -> DocumentPage:
    with app.app_context():
        page = document_page(db.session(), own_id, collection)
        assert page is not None
        return page


def test_a_form_sent_as_it_is_changes_nothing(app: Flask, client: FlaskClient) -> None:
    before = stored(app)
    answer = client.post("/edit", data=form_of(client, EDIT))
    assert answer.status_code == 303
    assert stored(app) == before


def test_what_is_typed_is_stored(app: Flask, client: FlaskClient) -> None:
    fields = form_of(client, EDIT) | {"title": "ספר חדש", "tags": "ספרים\nחדש\n", "url": "https://example.org/"}
    fields["column"], fields["value"] = ["author", "pages", "city"], ["רות", "320", "חיפה"]
    answer = client.post("/edit", data=fields)
    assert client.get(answer.location).status_code == 200
    page = stored(app)
    assert (page.title, page.tags, page.url) == ("ספר חדש", ("ספרים", "חדש"), "https://example.org/")
    assert page.extra == {"author": "רות", "pages": 320, "city": "חיפה"}
    assert page.body == STORED.body
    assert client.get("/api/search?q=רות&mode=text").get_json()["total"] == 1


def test_a_new_document_is_found_at_once(app: Flask, client: FlaskClient) -> None:
    fields = form_of(client, "/new?collection=books") | {"title": "מחברת", "body": "דפים", "tags": "נייר", "id": "n1"}
    answer = client.post("/new", data=fields)
    assert (answer.status_code, answer.location) == (303, "/documents/n1?collection=books")
    assert client.get("/api/search?q=מחברת&mode=text").get_json()["hits"][0]["tags"] == ["נייר"]


def test_a_new_document_needs_no_id_and_may_begin_a_collection(app: Flask, client: FlaskClient) -> None:
    fields = form_of(client, "/new") | {"title": "first", "collection": "fresh"}
    assert client.post("/new", data=fields).status_code == 303
    assert client.get("/api/search?q=first&mode=text&collection=fresh").get_json()["total"] == 1


def test_an_id_that_is_taken_replaces_nothing(app: Flask, client: FlaskClient) -> None:
    fields = form_of(client, "/new?collection=books&lang=en") | {"title": "typed in vain?", "id": "a/b c"}
    answer = client.post("/new", data=fields)
    assert answer.status_code == 409
    assert "typed in vain?" in answer.get_data(as_text=True)
    assert stored(app).title == STORED.title


def test_a_change_by_another_is_not_lost(app: Flask, client: FlaskClient) -> None:
    fields = form_of(client, EDIT) | {"title": "mine"}
    with app.app_context():
        write_documents(db.session(), "books", [NewDocument("a/b c", "theirs", "other text")])
    answer = client.post("/edit", data=fields)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "Somebody else has changed this document meanwhile" in text
    assert 'value="mine"' in text
    assert stored(app).title == "theirs"
    again = fields | {"seen": Page(text).one("input", name="seen")["value"]}
    assert client.post("/edit", data=again).status_code == 303
    assert stored(app).title == "mine"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"title": " ", "body": "\n"}, "title"),
        ({"tags": "x" * 201}, "at most 200 tags of 200 characters"),
        ({"tags": "\n".join(map(str, range(201)))}, "at most 200 tags of 200 characters"),
        ({"column": ["a", "a"], "value": ["1", "2"]}, "a name of its own"),
        ({"column": ["title"], "value": ["1"]}, "a name of its own"),
        ({"body": "א" * 600_000}, "1 MB"),
    ],
)
def test_what_cannot_be_stored_is_told_and_stays_in_the_form(
    app: Flask, client: FlaskClient, wrong: dict[str, Any], said: str
) -> None:
    fields = form_of(client, EDIT) | {"source": "kept in the form"} | wrong
    answer = client.post("/edit", data=fields)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert said in text[text.index('class="note bad"') :].partition("</p>")[0]
    assert "kept in the form" in text
    assert stored(app).source == ""


def test_a_deleted_document_is_gone(app: Flask, client: FlaskClient) -> None:
    fields = form_of(client, EDIT)
    assert client.post("/edit/delete", data=fields).status_code == 303
    assert client.get("/documents/a/b c?collection=books").status_code == 404
    with app.app_context():
        actions = list(db.session.execute(select(AuditEntry.action).order_by(AuditEntry.id)).scalars())
        assert actions[-1] == "document deleted"
        assert db.session.query(Document).count() == 1


def as_writer(app: Flask, *collections: str) -> FlaskClient:
    with app.app_context():
        key = create_key(db.session(), "w", ("read", "write"), collections)[1]
    return signed_in(app.test_client(), key)


def test_only_whoever_may_write_a_collection_edits_in_it(app: Flask, client: FlaskClient) -> None:
    fields = form_of(client, EDIT)
    nobody, writer = app.test_client(), as_writer(app, "other")
    assert nobody.get(EDIT).location.startswith("/signin")
    assert writer.get(EDIT).status_code == 403
    for path in ("/edit", "/edit/delete"):
        refused: TestResponse = writer.post(path, data=fields | {"csrf_token": form_of(writer, "/new")["csrf_token"]})
        assert refused.status_code == 403
    created = form_of(writer, "/new") | {"collection": "books", "title": "x"}
    assert writer.post("/new", data=created).status_code == 403
    assert "/edit" in client.get("/documents/x?collection=other").get_data(as_text=True)
    assert "/edit" not in nobody.get("/documents/x?collection=other").get_data(as_text=True)
    assert "/edit" not in writer.get("/documents/a/b c?collection=books").get_data(as_text=True)
    assert stored(app).title == STORED.title


def test_a_form_of_another_site_is_refused(client: FlaskClient) -> None:
    fields = form_of(client, EDIT)
    del fields["csrf_token"]
    for path in ("/edit", "/edit/delete", "/new"):
        assert client.post(path, data=fields).status_code == 400


def test_what_is_not_there_is_not_edited(client: FlaskClient) -> None:
    for address in ("/edit", "/edit?id=none", "/edit?id=a/b+c&collection=other"):
        assert client.get(address).status_code == 404
