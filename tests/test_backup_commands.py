"""flask backup, restore and export as an operator runs them: killed, without room, and there and back."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config import ROOT, Settings
from indexing.archive import Archive
from indexing.backup import backup
from models import Document, db
from tests import commands
from tests.conftest import settings_for
from tests.documents import document, shared_documents, stands_right, write

AWKWARD = document(
    "=1+1", "כותרת, \"מצוטטת\"", "שורה\nושורה", "C, C++", extra={"years": "5", "Title": "אחר", "מקום": "חיפה"}
)  # fmt: skip

# The process ends itself where the rows are half-way: no signal from outside could hit so well.
KILLED = """
import os, signal, sys
from pathlib import Path
from app import create_app
from config import read_settings
from indexing.archive import Archive
from indexing.backup import backup
from indexing.restore import restore
from models import db

def until(most):
    left = [most]
    def on_rows(count):
        left[0] -= count
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return on_rows

with create_app(read_settings(dict(os.environ))).app_context():
    if sys.argv[1] == "backup":
        backup(db.engine, Path(sys.argv[2]), until(20))
    else:
        archive = Archive(Path(sys.argv[2]))
        restore(db.session(), archive, True, until(archive.manifest.rows - 5))
"""
LITTLE_ROOM = (
    "import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    " resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); os.execvp(sys.argv[2], sys.argv[2:])"
)


@pytest.fixture
def filled(session: Session) -> Session:
    write(session, *shared_documents(30))
    session.rollback()
    return session


def killed(settings: Settings, *arguments: str | Path) -> int:
    run = [sys.executable, "-c", KILLED, *map(str, arguments)]
    return subprocess.run(run, cwd=ROOT, env=commands.environment(settings), check=False).returncode


def count(session: Session) -> int:
    session.rollback()
    return session.execute(select(func.count()).select_from(Document)).scalar_one()


def test_there_and_back(filled: Session, settings: Settings, tmp_path: Path) -> None:
    ended = commands.run(settings, "backup", tmp_path / "all.matmon")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "all.matmon").stat().st_mode & 0o777 == 0o600
    refused = commands.run(settings, "restore", tmp_path / "all.matmon")
    assert refused.returncode == 2
    assert "--replace" in refused.stderr
    write(filled, document("later"))
    ended = commands.run(settings, "restore", "--replace", tmp_path / "all.matmon")
    assert (ended.returncode, ended.stdout) == (0, "30 documents restored.\n"), ended.stderr
    assert count(filled) == 30
    stands_right(filled)


def test_a_backup_killed_half_way_leaves_no_backup(filled: Session, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "all.matmon"
    assert killed(settings, "backup", path) == -signal.SIGKILL
    assert not path.exists()
    assert commands.run(settings, "backup", path).returncode == 0
    Archive(path).verify()
    assert count(filled) == 30


def test_a_restore_killed_half_way_changes_nothing(filled: Session, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "all.matmon"
    backup(db.engine, path)
    write(filled, document("later"))
    filled.rollback()
    assert killed(settings, "restore", path) == -signal.SIGKILL
    assert count(filled) == 31
    stands_right(filled)
    assert commands.run(settings, "restore", "--replace", path).returncode == 0
    assert count(filled) == 30


@pytest.mark.usefixtures("filled")
def test_a_backup_without_room_says_so_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "all.matmon"
    ended = commands.run(settings, "backup", path, under=[sys.executable, "-c", LITTLE_ROOM, "8192"])
    assert ended.returncode == 2
    assert "cannot be written" in ended.stderr
    assert list(tmp_path.glob("all.matmon*")) == []


def test_a_restore_without_room_loses_nothing(filled: Session, settings: Settings, tmp_path: Path) -> None:
    if not settings.database_url.startswith("sqlite"):
        return  # a server writes by itself, with room of its own
    backup(db.engine, tmp_path / "all.matmon")
    room = str((tmp_path / "matmon.db").stat().st_size)
    ended = commands.run(
        settings, "restore", "--replace", tmp_path / "all.matmon", under=[sys.executable, "-c", LITTLE_ROOM, room]
    )
    assert ended.returncode == 2, ended.stdout
    assert "Nothing was written" in ended.stderr
    assert count(filled) == 30
    stands_right(filled)


def test_what_cannot_be_restored_is_refused_in_a_sentence(sqlite_alone: str, tmp_path: Path) -> None:
    settings = settings_for(sqlite_alone, tmp_path)
    (tmp_path / "notes").write_text("שלום", encoding="utf-8")
    for name, said in (("notes", "another kind of file"), ("missing", "no such file")):
        ended = commands.run(settings, "restore", tmp_path / name)
        assert ended.returncode == 2
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


def exported(settings: Settings, form: str, path: Path) -> subprocess.CompletedProcess[str]:
    ended = commands.run(settings, "export", "--collection", "documents", "--format", form, "--output", path)
    assert ended.returncode == 0, ended.stderr
    return ended


def stored(session: Session, ids: list[str]) -> list[dict[str, Any]]:
    session.rollback()
    rows = session.execute(select(Document).where(Document.own_id.in_(ids)).order_by(Document.own_id)).scalars()
    return [{name: getattr(row, name) for name in ("own_id", "title", "body", "language", "extra")} for row in rows]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_an_import(filled: Session, settings: Settings, tmp_path: Path, form: str) -> None:
    write(filled, AWKWARD)
    file = tmp_path / f"out.{form}"
    exported(settings, form, file)
    ids = [one.own_id for one in (AWKWARD, *shared_documents(30))]
    before = stored(filled, ids)
    ended = commands.run(settings, "import", file, "--collection", "documents")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    renamed = {"years": "5", "extra_Title": "אחר", "מקום": "חיפה"}
    expected = [row | ({"extra": renamed} if row["own_id"] == "=1+1" else {}) for row in before]
    assert stored(filled, ids) == expected
    assert count(filled) == 31
    again = tmp_path / f"again.{form}"
    exported(settings, form, again)
    assert tags_by_id(again) == tags_by_id(file)
    stands_right(filled)


def tags_by_id(path: Path) -> dict[str, object]:
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return {row["id"]: row.get("tags") for row in rows}
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["id"]: row["tags"] for row in csv.DictReader(file)}


@pytest.mark.usefixtures("filled")
def test_a_collection_that_is_not_there_is_named_with_those_that_are(settings: Settings) -> None:
    ended = commands.run(settings, "export", "--collection", "jobs")
    assert ended.returncode == 2
    assert "there are: documents" in ended.stderr
