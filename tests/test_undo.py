"""An import undone: documents are as before it, unless somebody changed them since."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.importing import import_file
from indexing.journal import UNDOABLE, Journal, can_undo
from indexing.layout import Options
from indexing.undo import Undone, undo_import
from jobs import imports as import_jobs
from jobs.imports import ImportJobs, new_import, start_import, start_undo
from jobs.uploads import upload_path
from models import AuditEntry, Document, ImportChange, Job, db, document_number
from operations.forgetting import Places, forget_document
from tests.documents import found, stands_right
from tests.markup import Page
from tests.visits import BEARER, become_admin, form_token, signed_in
from tests.waiting import imports_ended

Rows = list[Mapping[str, object]]
BEFORE: Rows = [
    {"id": 1, "title": "first", "body": "old text", "tags": ["ב", "א"], "year": 1999, "language": "en"},
    {"id": 2, "title": "second", "tags": ["א"]},
    {"id": 3, "title": "third"},
]
AFTER: Rows = [
    {"id": 1, "title": "first", "body": "new text", "tags": ["ג"]},
    {"id": 3, "title": "third"},
    {"id": 4, "title": "fourth"},
]
COLUMNS = [column for column in Document.__table__.columns if column.name != "version"]


def imported(session: Session, folder: Path, rows: Rows, job: int, sync: bool = False) -> None:
    path = folder / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    import_file(session, path, Options("books", sync=sync), journal=Journal(job))


def stored(session: Session) -> dict[str, tuple[Any, ...]]:
    rows = session.execute(select(*COLUMNS)).all()
    session.rollback()
    return {row.own_id: tuple(row) for row in rows}


@pytest.mark.parametrize("sync", [False, True])
def test_documents_are_as_they_were_before(session: Session, tmp_path: Path, sync: bool) -> None:
    imported(session, tmp_path, BEFORE, job=1)
    before = stored(session)
    imported(session, tmp_path, AFTER, job=2, sync=sync)
    assert ("2" in stored(session)) != sync
    told: list[tuple[int, int]] = []
    undone = undo_import(session, 2, "books", lambda done, total: told.append((done, total)))
    assert undone == Undone(restored=2 if sync else 1, deleted=1)
    assert told[-1] == (told[-1][1], told[-1][1])
    assert stored(session) == before
    assert (found(session, "old"), found(session, "new"), found(session, "fourth")) == (["1"], [], [])
    stands_right(session)
    assert not can_undo(session, 2)
    imported(session, tmp_path, BEFORE, job=3)
    assert not can_undo(session, 3)  # the same file again changes nothing


def test_what_was_changed_since_stays(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, BEFORE, job=1)
    imported(session, tmp_path, AFTER, job=2, sync=True)
    write_documents(session, "books", [NewDocument("1", "mine", ""), NewDocument("2", "again", "")])
    delete_documents(session, [document_number("books", "4")])
    assert undo_import(session, 2, "books") == Undone(kept=3)
    assert stored(session).keys() == {"1", "2", "3"}
    assert found(session, "mine") == ["1"]
    stands_right(session)


def test_imports_are_undone_one_after_another(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, BEFORE, job=1)
    before = stored(session)
    imported(session, tmp_path, AFTER, job=2)
    imported(session, tmp_path, [{"id": 1, "title": "later"}], job=3)
    undo_import(session, 3, "books")
    undo_import(session, 2, "books")
    assert stored(session) == before
    assert undo_import(session, 1, "books") == Undone(deleted=3)
    assert stored(session) == {}


def test_an_interrupted_undoing_goes_on(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.undo.AT_ONCE", 2)
    imported(session, tmp_path, [{"id": number, "title": "t"} for number in range(5)], job=1)

    def interrupt(done: int, _total: int) -> None:
        if done >= 2:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        undo_import(session, 1, "books", interrupt)
    assert len(stored(session)) == 3
    assert undo_import(session, 1, "books") == Undone(deleted=3)
    assert stored(session) == {}


def test_an_import_that_was_cut_off_and_went_on_is_undone_whole(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, BEFORE, job=1)
    before = stored(session)
    imported(session, tmp_path, AFTER[:1], job=2)
    imported(session, tmp_path, [{"id": 1, "title": "first", "body": "newer"}, *AFTER[1:]], job=2)
    undo_import(session, 2, "books")
    assert stored(session) == before


def test_what_old_imports_changed_is_forgotten(session: Session) -> None:
    for number in range(UNDOABLE + 2):
        job = new_import(session, f"{number}.csv", Options())
        job.updated_at = number
        session.add(ImportChange(job_id=job.id, document_id=1, after=b"x", before=None))
        session.commit()
    new_import(session, "last.csv", Options())
    left = session.execute(select(ImportChange.job_id)).scalars().all()
    assert len(left) == UNDOABLE - 1  # the last import is one of the newest


def test_a_document_that_is_forgotten_is_restored_by_no_undoing(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, BEFORE, job=1)
    imported(session, tmp_path, AFTER, job=2)
    forget_document(session, "books", "1", Places(tmp_path / "uploads", tmp_path / "index", lambda: 0))
    assert undo_import(session, 2, "books") == Undone(deleted=1)
    assert stored(session).keys() == {"2", "3"}


def ran(session: Session, folder: Path, rows: Rows) -> Job:
    """Run an import as a job."""
    job = new_import(session, "x.jsonl", Options("books"))
    upload_path(folder, job).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert start_import(session, job)
    run(session, folder)
    return job


def run(session: Session, folder: Path) -> None:
    engine = session.get_bind()
    work = ImportJobs(lambda: Session(engine), folder, lambda: None)
    assert work.run_next(threading.Event())
    session.expire_all()


def test_a_job_is_undone_without_its_file_and_reports_it(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    first = ran(session, folder, BEFORE)
    job = ran(session, folder, [*AFTER, {"title": ""}])
    assert job.state == "done"
    assert [path.name for path in folder.iterdir()] == [f"{job.id}-x.jsonl.rejects.csv"]
    assert start_undo(session, job)
    assert not start_undo(session, job)
    run(session, folder)
    assert (job.state, job.report["undone"]) == ("done", {"restored": 1, "deleted": 1, "kept": 0})
    assert job.report["refused"] == 1
    assert not start_undo(session, job)
    assert start_undo(session, first)
    assert import_jobs.UNDO not in job.options


def test_an_import_is_undone_on_its_page_and_listed_as_undone(app: Flask, client: FlaskClient) -> None:
    location = become_admin(client).location
    client.post(location, data={"csrf_token": form_token(client)})
    imports_ended()
    shown = Page(client.get(f"{location}?lang=en").get_data(as_text=True))
    assert shown.all("form", action=f"{location}/undo")
    assert client.post(f"{location}/undo", data={"csrf_token": form_token(client)}).status_code == 303
    imports_ended()
    shown = Page(client.get(f"{location}?lang=en").get_data(as_text=True))
    assert "The import was undone: 0 documents are as they were before, 1 that it made are deleted." in shown.text
    assert not shown.all("form", action=f"{location}/undo")
    assert " undone 1 new" in Page(client.get("/import?lang=en").get_data(as_text=True)).text
    assert client.get("/api/stats").get_json()["documents"] == 0
    with app.app_context():
        assert "import undone" in db.session.execute(select(AuditEntry.action)).scalars().all()


def test_an_import_is_undone_by_the_api_and_only_by_who_may_write(client: FlaskClient) -> None:
    form = {"file": (io.BytesIO(b"id,title\n1,a\n"), "a.csv")}
    address = client.post("/api/import", data=form, headers=BEARER).get_json()["address"]
    imports_ended()
    assert client.post(f"{address}/undo").status_code == 401
    assert client.post(f"{address}/undo", headers=BEARER).status_code == 202
    imports_ended()
    report = client.get(address, headers=BEARER).get_json()["report"]
    assert report["undone"] == {"restored": 0, "deleted": 1, "kept": 0}
    assert client.post(f"{address}/undo", headers=BEARER).status_code == 409


def test_refused_rows_are_downloaded_whole_or_the_first_of_them_later(client: FlaskClient, tmp_path: Path) -> None:
    rows = "".join(json.dumps({"id": number}) + "\n" for number in range(150)) + '{"title": "good"}'
    form = {"file": (io.BytesIO(rows.encode()), "a.jsonl")}
    number = client.post("/api/import", data=form, headers=BEARER).get_json()["id"]
    imports_ended()
    assert client.get(f"/import/{number}/rejects").status_code == 404
    signed_in(client)
    page = Page(client.get(f"/import/{number}?lang=en").get_data(as_text=True))
    assert page.all("a", href=f"/import/{number}/rejects")
    answer = client.get(f"/import/{number}/rejects", buffered=True)
    assert answer.headers["Content-Disposition"] == "attachment; filename=rejects.csv"
    assert len(answer.get_data(as_text=True).splitlines()) == 151
    for path in (tmp_path / "uploads").iterdir():
        path.unlink()
    lines = client.get(f"/import/{number}/rejects").get_data(as_text=True).splitlines()
    assert (lines[0], len(lines)) == ("\ufeffline,reason,row", 101)
