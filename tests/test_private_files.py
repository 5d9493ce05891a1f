"""Files of the site are readable by their owner only, those of an earlier release as well."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import create_app
from tests import commands
from tests.conftest import closed, settings_for, sqlite_alone
from tests.servers import serving
from tests.visits import BEARER, TOKEN
from tests.waiting import until
from utils.private_files import database_files, tighten

database = sqlite_alone
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    b"id,title\r\n1,\xd7\x90\r\n2,\r\n\r\n--x--\r\n"
)


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Begin as a process that lets everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """Return the files and folders that somebody else can do something with."""
    paths = [folder, *folder.rglob("*")]
    return [f"{path} {path.stat().st_mode:o}" for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_a_server_and_the_commands_write_for_their_owner_only(tmp_path: Path) -> None:
    folder, files = tmp_path / "instance", tmp_path / "files"
    files.mkdir(mode=0o700)
    settings = settings_for(f"sqlite:///{folder / 'matmon.db'}", folder)

    def flask(*arguments: str | Path) -> int:
        return commands.run(settings, *arguments, under=("env",)).returncode

    assert flask("db", "upgrade") == 0
    (files / "a.jsonl").write_text('{"title": "א"}\n{"title": ""}\n', encoding="utf-8")
    (files / "a.jsonl").chmod(0o600)
    assert flask("import", files / "a.jsonl") == 1
    assert flask("backup", files / "backup.zip") == 0
    for form in ("csv", "jsonl"):
        output = files / f"export.{form}"
        assert flask("export", "--collection", "documents", "--format", form, "--output", output) == 0
    log = tmp_path / "log"
    log.mkdir(mode=0o700)
    with serving(log, INSTANCE_DIR=str(folder), ADMIN_TOKEN=TOKEN, SECRET_KEY=TOKEN) as server:
        answer = server.send("POST", "/api/import", FORM, Content_Type="multipart/form-data; boundary=x", **BEARER)
        assert answer.status == 202, answer.text
        address = f"/api/import/{answer.json['id']}"
        until(lambda: server.send("GET", address, None, **BEARER).json["state"] == "done", "the end of the import")
        names = {path.name for path in folder.rglob("*")}
        assert {"matmon.db", "matmon.db-wal", "uploads"} <= names
        assert open_to_others(folder) == []
    assert open_to_others(files) == []
    assert len(list(files.iterdir())) == 5


def test_what_an_earlier_release_left_open_is_closed_at_the_start(database: str, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "1-a.csv").write_text("title\n")
    for path in (tmp_path, tmp_path / "matmon.db", uploads, uploads / "1-a.csv"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    own = tmp_path / "skill-aliases.csv"  # the operator's
    own.write_text("")
    own.chmod(0o644)
    app = create_app(settings_for(database, tmp_path))
    closed(app)
    assert open_to_others(tmp_path) == [f"{own} 100644"]


def test_a_group_may_read_where_the_operator_wants_it(database: str, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    uploads.mkdir(mode=0o777)
    app = create_app(settings_for(database, tmp_path, umask="027"))
    closed(app)
    (tmp_path / "new").write_text("")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (uploads, tmp_path / "new")] == [0o750, 0o640]


def test_shared_folders_links_and_what_is_missing_stay_as_they_are(tmp_path: Path) -> None:
    shared, other = tmp_path / "shared", tmp_path / "other"
    shared.mkdir()
    other.mkdir()
    shared.chmod(0o1777)
    other.chmod(0o755)
    (tmp_path / "link").symlink_to(other)
    tighten([shared, tmp_path / "link", tmp_path / "missing", Path("/")], 0o077)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (shared, other)] == [0o1777, 0o755]
    assert Path("/").stat().st_mode & 0o005


def test_the_files_of_a_database_are_those_that_sqlite_makes() -> None:
    assert [path.name for path in database_files("/a/b.db")] == ["b.db", "b.db-wal", "b.db-shm", "b.db-journal"]
