"""An import that also deletes what the file no longer has: what goes, what stays, and when nothing goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from config import Settings
from indexing import syncing
from indexing.documents import NewDocument, write_documents
from indexing.importing import ImportReport, import_file
from indexing.layout import Options
from models import Collection, Document
from tests import commands
from tests.documents import found, stands_right


def imported(
    session: Session, folder: Path, *rows: object, collection: str = "books", sync: bool = True
) -> ImportReport:
    path = folder / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return import_file(session, path, Options(collection, sync=sync))


def ids(session: Session) -> set[str]:
    return set(session.execute(select(Document.own_id)).scalars())


def book(number: int, title: str = "book") -> dict[str, object]:
    return {"id": number, "title": f"{title} {number}", "tags": ["a"]}


def test_only_what_the_file_does_not_have_is_deleted_and_only_in_its_collection(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "LOOKED_AT", 3)
    monkeypatch.setattr(syncing, "DELETED_AT_ONCE", 2)
    imported(session, tmp_path, *map(book, range(10)))
    imported(session, tmp_path, book(99), collection="others")
    report = imported(session, tmp_path, book(1), book(2, "changed"), book(20))
    assert (report.deleted, report.not_synced) == (8, 0)
    assert (report.written.new, report.written.changed, report.written.unchanged) == (1, 1, 1)
    assert ids(session) == {"1", "2", "20", "99"}
    assert found(session, "changed") == ["2"]
    rows = session.execute(select(Collection.name, Collection.documents)).all()
    assert {row.name: row.documents for row in rows} == {"books": 3, "others": 1}
    stands_right(session)


def test_nothing_is_deleted_unless_it_is_asked_for(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, *map(book, range(3)))
    assert imported(session, tmp_path, book(1), sync=False).deleted == 0
    assert len(ids(session)) == 3


def test_a_refused_row_keeps_its_document_and_one_without_an_id_keeps_all(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, *map(book, range(4)))
    report = imported(session, tmp_path, book(0), {"id": 1, "title": ""})
    assert (report.refused, report.deleted, ids(session)) == (1, 2, {"0", "1"})
    report = imported(session, tmp_path, book(0), {"title": ""})
    assert (report.refused, report.deleted, report.not_synced) == (1, 0, 1)
    assert ids(session) == {"0", "1"}


def test_rows_without_an_id_are_known_by_what_they_say(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, {"title": "a", "year": 1}, {"title": "a", "year": 2})
    report = imported(session, tmp_path, {"title": "a", "year": 2}, {"title": "a", "year": 3})
    assert (report.written.new, report.written.unchanged, report.deleted) == (1, 1, 1)


def test_what_others_write_meanwhile_stays(session: Session, tmp_path: Path) -> None:
    imported(session, tmp_path, *map(book, range(3)))
    path = tmp_path / "y.jsonl"
    path.write_text(json.dumps(book(1)) + "\n", encoding="utf-8")
    engine = session.get_bind()

    def another_writes(_done: int) -> None:
        with Session(engine) as other:
            write_documents(other, "books", [NewDocument("late", "late", "")])

    import_file(session, path, Options("books", sync=True), another_writes)
    assert ids(session) == {"1", "late"}


def test_the_command_says_what_it_deleted(settings: Settings, session: Session, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,title\n1,a\n2,b\n", encoding="utf-8")
    assert commands.run(settings, "import", path).returncode == 0
    path.write_text("id,title\n2,b\n", encoding="utf-8")
    assert "1 deleted, which the file does not have" in commands.run(settings, "import", path, "--sync").stdout
    path.write_text("id,title\n,\n3,c\n2,b,c\n", encoding="utf-8")
    ended = commands.run(settings, "import", path, "--sync")
    assert (ended.returncode, "nothing deleted: 1 refused rows do not tell" in ended.stdout) == (1, True)
    assert ids(session) == {"2", "3"}
