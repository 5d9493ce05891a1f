"""Importing by the API on every database: accepted at once, followed to its end, its bad rows reported."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from indexing.layout import Options
from jobs.claims import SILENT_S
from jobs.imports import ImportJobs, new_import, start_import
from jobs.uploads import upload_path
from models import Job, db
from runtime import runtime_of
from tests.described import check
from tests.waiting import imports_ended, until

TOKEN = {"Authorization": "Bearer a token of the tests"}
ROWS = "שם,תגיות,טלפון\nארנק,אבדות;רחוב,050\n,,051\nמפתח,אבדות,052\nארבע,1,2,3\n"


KINDS: tuple[tuple[str | bytes, str], ...] = (
    ('{"title": "א"}\n{"title": "ב"}\n', "a.jsonl"),
    ('[{"title": "א"}, {"title": "ב"}]', "a.json"),
    ("title;body\nא;1\nב;2\n".encode("cp1255"), "a.CSV"),
    ("\ufefftitle\tbody\nא\t1\nב\t2\n", "a.b.tsv"),
)
UNUSABLE = (
    ("", "a.csv", "", "empty"),
    ("x", "a.exe", "", "kind"),
    ('{"line": 1, "fields": {"title": "x"}}', "a.rows", "", "kind"),
    ("x", "a.pdf", "", "nothing"),
    ("x", "a.xlsx", "", "damaged"),
    ("x", "a.xls", "", "xls"),
    ("x", "csv", "", "kind"),
    ("a,b\n1,2\n", "a.csv", "", "header"),
    ("{\n", "a.jsonl", "", "nothing"),
    ("title\nא\n", "a.csv", "title=name", "map"),
    ("title\nא\n", "a.csv", "colour=title", "map"),
)


@pytest.fixture(autouse=True)
def nothing_left_running(app: Flask) -> Iterator[None]:
    yield
    imports_ended()


def send(client: FlaskClient, text: str | bytes = ROWS, name: str = "אבדות.csv", **fields: Any) -> TestResponse:
    file = (io.BytesIO(text.encode() if isinstance(text, str) else text), name)
    return client.post("/api/import", data={"file": file, **fields}, headers=TOKEN)


def state(client: FlaskClient, address: str) -> dict[str, Any]:
    found: dict[str, Any] = check(client.get(address, headers=TOKEN), "importState", 200)
    return found


def ended(client: FlaskClient, started: TestResponse) -> dict[str, Any]:
    address = check(started, "importFile", 202)["address"]

    def at_its_end() -> dict[str, Any] | None:
        said = state(client, address)
        return said if said["state"] in ("done", "failed") else None

    return until(at_its_end, "the import's end")


def test_a_file_is_accepted_imported_and_found_and_its_bad_rows_are_reported(client: FlaskClient) -> None:
    fields: dict[str, Any] = {"map": ["title=שם", "tags=תגיות"], "drop": "טלפון", "collection": "אבדות"}
    said = ended(client, send(client, **fields))
    report = said["report"]
    assert (said["state"], said["name"], said["cut_off"]) == ("done", "documents.csv", False)
    assert said["done"] <= said["total"] == len(ROWS.encode())
    assert (report["new"], report["refused"]) == (2, 2)
    assert [(row["line"], row["reason"]) for row in report["rejects"]] == [
        ("3", "neither a title nor a body: fill in one of them"),
        ("5", "4 columns, and the header has 3: put quotes around a cell that has the separator in it"),
    ]
    found = check(client.get("/api/search?q=מפתח&collection=אבדות&tag=אבדות"), "search", 200)
    assert [hit["title"] for hit in found["hits"]] == ["מפתח"]
    again = ended(client, send(client, **fields))["report"]
    assert (again["new"], again["changed"], again["unchanged"], again["refused"]) == (0, 0, 2, 2)


def test_every_kind_of_file_is_taken(client: FlaskClient) -> None:
    for place, (text, name) in enumerate(KINDS):
        assert ended(client, send(client, text, name, collection=f"c{place}"))["report"]["new"] == 2, name
        hits = client.get(f"/api/search?sort=title&collection=c{place}").get_json()["hits"]
        assert [hit["title"] for hit in hits] == ["א", "ב"]


def test_a_file_that_cannot_be_used_is_refused_with_a_code_and_not_kept(client: FlaskClient, tmp_path: Path) -> None:
    for text, name, mapping, code in UNUSABLE:
        refused = check(send(client, text, name, map=mapping), "importFile", 422)
        assert refused["error"]["code"] == code
    assert list((tmp_path / "uploads").iterdir()) == []
    with client.application.app_context():
        assert db.session.query(Job).count() == 0


def test_several_files_are_one_import(client: FlaskClient) -> None:
    files = [(io.BytesIO(text.encode()), name) for name, text in (("a.md", "# a\n\nb"), ("c/b.csv", "title\nx\ny\n"))]
    form = {"file": files, "tags_from_folders": "1", "collection": "two"}
    assert ended(client, client.post("/api/import", data=form, headers=TOKEN))["report"]["new"] == 3


def test_two_imports_at_once_both_come_to_their_end(client: FlaskClient) -> None:
    files = ["".join(json.dumps({"id": f"{n}", "title": f"{name} {n}"}) + "\n" for n in range(60)) for name in "ab"]
    started = [send(client, text, f"{place}.jsonl", collection=str(place)) for place, text in enumerate(files)]
    assert [ended(client, one)["report"]["new"] for one in started] == [60, 60]
    assert client.get("/api/stats").get_json()["documents"] == 120


def test_an_import_that_fails_says_so_and_keeps_the_site_up(app: Flask, client: FlaskClient, tmp_path: Path) -> None:
    with app.app_context():
        job = new_import(db.session(), "emptied.csv", Options())
        path = upload_path(runtime_of(app).upload_folder, job)
        path.parent.mkdir()
        path.touch()
        number = job.id
        assert start_import(db.session(), job)
    runtime_of(app).imports.wake()
    imports_ended()
    said = state(client, f"/api/import/{number}")
    assert (said["state"], said["report"]) == (
        "failed",
        {"message": "The file is empty.", "code": "empty", "values": {}},
    )
    assert client.get("/health").status_code == 200


def test_an_import_that_fell_silent_was_cut_off(app: Flask, client: FlaskClient) -> None:
    for silent_s, cut_off in ((0, False), (SILENT_S + 5, True), (-3_600, True)):  # the last: its clock was set back
        with app.app_context():
            job = new_import(db.session(), "a.csv", Options())
            job.state, job.updated_at, number = "running", job.updated_at - silent_s, job.id
            db.session.commit()
        assert state(client, f"/api/import/{number}")["cut_off"] == cut_off


def test_an_upload_leaves_no_file_behind(client: FlaskClient, tmp_path: Path) -> None:
    ended(client, send(client, "title\nא\n"))
    imports_ended()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_the_answer_comes_before_the_work(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, usual = threading.Event(), ImportJobs.run_next

    def late(self: ImportJobs, stop: threading.Event) -> bool:
        return let_go.wait(30) and usual(self, stop)

    monkeypatch.setattr(ImportJobs, "run_next", late)
    address = check(send(client, "title\nא\n"), "importFile", 202)["address"]
    assert state(client, address)["state"] == "queued"
    let_go.set()
    assert until(lambda: state(client, address)["state"] == "done", "the import's end")
