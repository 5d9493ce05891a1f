"""All results of a search as a file: every document once, with all its columns, in the order of the search."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from indexing.documents import NewDocument, write_documents
from indexing.importing import Options, import_file
from models import Collection, Document, db
from search.ranking_cache import MOST_SHOWN
from search.text import MOST_RANKED

COUNT = MOST_RANKED + 150  # more than a search ranks, and than its pages show
SHEET = NewDocument(
    own_id="גיליון", title="נוסחה", body='שורה\n"מרכאות", ופסיק', tags=("א;ב", "ג"),
    extra={"city": "חיפה", "title2": "=1+1", "list": ["x", "y"]},
)  # fmt: skip


@pytest.fixture
def full(app: Flask) -> FlaskClient:
    documents = [
        NewDocument(own_id=f"{n}", title=f"coin {n:05}", body="old coin", tags=("coins",)) for n in range(COUNT)
    ]
    with app.app_context():
        write_documents(db.session(), "many", documents)
        write_documents(db.session(), "sheet", [SHEET])
    return app.test_client()


def table(client: FlaskClient, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="matmon.csv"'
    text = answer.get_data(as_text=True)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def lines(client: FlaskClient, address: str) -> list[dict[str, object]]:
    answer = client.get(address)
    assert answer.mimetype == "application/jsonl"
    return [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]


@pytest.mark.parametrize(
    "search", ["/text?q=coin", "/?q=coin", "/tags?tag=coins", "/text?collection=many", "/api/search?q=coin"]
)
def test_every_document_is_there_once(full: FlaskClient, search: str) -> None:
    rows = table(full, f"{search}&format=csv&all=1&page=3&limit=10")
    assert sorted(row["id"] for row in rows) == sorted(map(str, range(COUNT)))
    assert [int(row["rank"]) for row in rows] == list(range(1, COUNT + 1))
    assert [row["id"] for row in lines(full, f"{search}&format=jsonl&all=1")] == [row["id"] for row in rows]


def test_the_order_is_that_of_the_pages(full: FlaskClient) -> None:
    shown = full.get("/api/search?q=coin&mode=text&limit=100&page=2").get_json()["hits"]
    rows = table(full, "/text?q=coin&format=csv&all=1")
    assert [row["id"] for row in rows[100:200]] == [hit["id"] for hit in shown]
    by_title = table(full, "/text?q=coin&format=csv&all=1&sort=title")
    assert [row["title"] for row in by_title] == sorted(row["title"] for row in rows)
    assert len(by_title) > MOST_SHOWN


def test_a_setting_bounds_it(full: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    object.__setattr__(app.runtime.settings, "export_limit", 7)  # type: ignore[attr-defined]
    assert len(table(full, "/text?q=coin&format=csv&all=1")) == 7
    assert len(table(full, "/text?collection=many&format=csv&all=1")) == 7


def test_a_table_has_every_column_and_no_formula(full: FlaskClient) -> None:
    [row] = table(full, "/text?q=נוסחה&format=csv&all=1")
    assert (row["id"], row["city"], row["body"]) == ("גיליון", "חיפה", SHEET.body)
    assert row["title2"] == "'=1+1"
    assert json.loads(row["list"]) == ["x", "y"]


def test_an_import_reads_lines_back(full: FlaskClient, app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "back.jsonl"
    file.write_bytes(full.get("/text?q=נוסחה&format=jsonl&all=1").data)
    with app.app_context():
        import_file(db.session(), file, Options(collection="back"))
        rows = select(Document).join(Collection).where(Document.own_id == "גיליון", Collection.name == "back")
        document = db.session.execute(rows).scalar_one()
        assert (document.title, document.body) == (SHEET.title, SHEET.body)
        assert document.extra == SHEET.extra
    tags = full.get("/api/documents/גיליון?collection=back").get_json()["tags"]
    assert tags == list(SHEET.tags)


def test_what_is_found_nowhere_is_an_empty_table(full: FlaskClient) -> None:
    assert table(full, "/text?q=zzzqqq&format=csv&all=1") == []
    assert lines(full, "/text?q=zzzqqq&format=jsonl&all=1") == []
