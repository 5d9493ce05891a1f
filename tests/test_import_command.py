"""flask import as a process: its exit codes, its memory, and how it goes on after it was killed."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config import Settings
from models import Document, Tag
from tests import commands
from tests.conftest import Started, settings_for
from tests.documents import stands_right
from tests.office_files import xlsx

KILL_WITHIN_S = 60.0
WORDS = ["".join(random.Random(number).choices("אבגדהוזחטיכלמנסעפצקרשת", k=6)) for number in range(2_000)]


def file_of(path: Path, size: int, different: int, length: int) -> Path:
    """Write `size` rows of `length` words under `different` ids, which take turns."""
    chance = random.Random(2)
    with path.open("w", encoding="utf-8") as lines:
        for number in range(size):
            body = " ".join(chance.choices(WORDS, k=length))
            row = {"id": f"d{number % different}", "title": f"מסמך {number}", "body": body, "tags": [body[:6]]}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def documents(session: Session) -> int:
    counted = session.execute(select(func.count()).select_from(Document)).scalar_one()
    session.rollback()
    return counted


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("title\nשלום\n", 0, "1 new, 0 changed, 0 unchanged"),
        ("title,body\nשלום,\n,\n1,2,3\n", 1, "1 rows refused: see "),
        ("title,body\n1,2,3\n", 2, "x.csv: No row of the file can be read"),
        ("", 2, "x.csv: The file is empty"),
    ],
)
def test_the_exit_code_tells_how_it_went(
    settings: Settings, tmp_path: Path, content: str, code: int, said: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content, encoding="utf-8")
    ended = commands.run(settings, "import", path)
    assert (ended.returncode, said in ended.stdout + ended.stderr) == (code, True), ended
    assert "Traceback" not in ended.stderr


def test_an_id_that_was_guessed_and_not_taken_is_told(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("isbn,title\n7,a\n7,b\n", encoding="utf-8")
    told = commands.run(settings, "import", path).stdout
    assert "2 new" in told
    assert "isbn is not the id: several rows share a value; --map id=isbn insists" in told


def test_an_address_of_this_host_is_not_fetched(settings: Settings) -> None:
    ended = commands.run(settings, "import", "http://127.0.0.1:9/feed.xml")
    assert ended.returncode == 2
    assert "'127.0.0.1' is on a private network, from which nothing is fetched" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_and_a_sheet_of_a_spreadsheet_are_imported(
    settings: Settings, session: Session, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    (folder / "sea").mkdir(parents=True)
    (folder / "sea" / "a.md").write_text("# הים\n\nכחול", encoding="utf-8")
    (folder / "b.xlsx").write_bytes(xlsx({"one": [["title"], ["x"]], "שני": [["title"], ["y"]]}))
    ended = commands.run(settings, "import", folder, "--sheet", "שני", "--tags-from-folders")
    assert ended.returncode == 0, ended
    assert set(session.execute(select(Document.title)).scalars()) == {"y", "הים"}
    assert session.execute(select(Tag.name)).scalars().all() == ["sea"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("notes")) == ["notes"]


def test_options_reach_the_import(settings: Settings, session: Session, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("name,labels,phone\nשלום,א/ב,050\n", encoding="utf-8")
    mapping = ["--map", "title=name", "--map", "tags=labels", "--tag-separator", "/", "--drop", "phone"]
    assert commands.run(settings, "import", path, "--collection", "people", *mapping).returncode == 0
    one = session.execute(select(Document)).scalar_one()
    assert (one.title, one.extra) == ("שלום", {})
    assert commands.run(settings, "import", path, "--map", "title").returncode == 2
    assert commands.run(settings, "import", tmp_path / "none.csv").returncode == 2


def test_a_killed_import_goes_on_where_it_stopped(settings: Settings, session: Session, tmp_path: Path) -> None:
    size = 9_000  # of which some 4,000 are in a transaction
    path = file_of(tmp_path / "x.jsonl", size, size, 25)
    running = commands.start(settings, "import", path)
    until = time.monotonic() + KILL_WITHIN_S
    while not documents(session):
        assert running.poll() is None
        assert time.monotonic() < until
    family = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.wait()
    assert psutil.wait_procs(family, timeout=10)[1] == []  # none goes on without it
    kept = documents(session)
    assert 0 < kept < size
    stands_right(session)
    ended = commands.run(settings, "import", path)
    assert (ended.returncode, ended.stdout.strip()) == (0, f"{size - kept} new, 0 changed, {kept} unchanged")
    stands_right(session)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process's peak")
def test_a_large_file_is_never_in_memory(started: Started, tmp_path: Path) -> None:
    path = file_of(tmp_path / "x.jsonl", 70_000, 2_000, 230)
    assert path.stat().st_size > 200 * 2**20
    with started.maker("sqlite").fresh(tmp_path) as url:
        assert commands.peak_rss_mb(settings_for(url, tmp_path), "import", path) < 150


def test_a_preview_says_how_columns_are_understood_and_writes_nothing(settings: Settings, session: Session) -> None:
    people = settings.instance_dir / "people.csv"
    people.write_text("name,about,skills,phone,town\nדנה,מנתחת,SQL; python 3,050-1,חיפה\n,,,,\n", encoding="utf-8-sig")
    asked = ("--map", "title=name", "--map", "body=about", "--drop", "phone", "--preview")
    said = commands.run(settings, "import", people, *asked)
    assert said.returncode == 0, said.stderr
    rows = {line.split()[0]: line for line in said.stdout.splitlines() if line.strip()}
    assert ["title" in rows["name"], "body" in rows["about"], "tags" in rows["skills"]] == [True] * 3
    assert "left out" in rows["phone"]
    assert "kept with the document" in rows["town"]
    assert "SQL; python 3" in said.stdout
    assert documents(session) == 0
    wrong = commands.run(settings, "import", people, "--map", "title=full_name", "--preview")
    assert wrong.returncode == 2
    assert "the columns are name, about" in wrong.stderr


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        (["title=name", "title=label"], "title is mapped to two columns, name and label"),
        (["title"], "'title' does not map a column: write FIELD=COLUMN"),
        (["title=nothing"], "the columns are name, label, body"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(
    sqlite_alone: str, tmp_path: Path, mapping: list[str], said: str
) -> None:
    settings = settings_for(sqlite_alone, tmp_path)
    (tmp_path / "two.csv").write_text("name,label,body\nא,ב,ג\n", encoding="utf-8")
    options = [part for pair in mapping for part in ("--map", pair)]
    ended = commands.run(settings, "import", tmp_path / "two.csv", *options)
    assert ended.returncode == 2
    assert said in ended.stderr
