"""A damaged, full or read-only database: 503 with a page that says which, /health with what to do, and never a 500."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from app import create_app
from indexing.documents import NewDocument, write_documents
from models import db
from runtime import runtime_of
from tests.conftest import Started, closed, settings_for, sqlite_alone
from tests.described import check
from tests.markup import Page
from tests.servers import Server, serving
from tests.visits import BEARER, TOKEN, get

PAGES = ("/", "/text?q=אבן", "/tags", "/documents/1", "/match?skills=אבנים", "/screenings")
PAGE_BYTES = 4096

database = sqlite_alone


@pytest.fixture(scope="module")
def sound(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with a few hundred documents and no log beside it."""
    folder = tmp_path_factory.mktemp("sound")
    with started.maker("sqlite").fresh(folder) as url:
        app = create_app(settings_for(url, folder))
        with app.app_context():
            rows = [NewDocument(str(n), f"אבן {n}", f"אבן על אבן {n * 'מילה '}", ("אבנים",)) for n in range(300)]
            for collection in ("house", "jobs", "profiles"):
                write_documents(db.session(), collection, rows)
            db.session.connection().exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        closed(app)
        return Path(shutil.copy(folder / "matmon.db", folder / "copy.db"))


@contextmanager
def site_on(folder: Path, file: Path) -> Iterator[FlaskClient]:
    shutil.copy(file, folder / "matmon.db")
    app = create_app(settings_for(f"sqlite:///{folder / 'matmon.db'}", folder, rate_limit="10000/minute"))
    yield app.test_client()
    closed(app)


def overwrite(path: Path, first: int, last: int) -> None:
    with path.open("r+b") as file:
        file.seek(first)
        file.write(os.urandom(last - first))


def pages_between(path: Path) -> None:
    for page in range(2, path.stat().st_size // PAGE_BYTES, 3):
        overwrite(path, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "random bytes": (lambda path: path.write_bytes(os.urandom(100_000)), "damaged"),
    "a text": (lambda path: path.write_text("no database " * 1_000), "damaged"),
    "another header": (lambda path: overwrite(path, 0, 16), "damaged"),
    "another first page": (lambda path: overwrite(path, 100, PAGE_BYTES), "damaged"),
    "pages between": (pages_between, "damaged"),
    "half of the file": (lambda path: os.truncate(path, path.stat().st_size // 2), "damaged"),
    "an empty file": (lambda path: os.truncate(path, 0), "no_tables"),
    "a folder": (replace_by_folder, "unreachable"),
}


@pytest.mark.parametrize(("damage", "fault"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_503_in_every_language_and_health_says_what_to_do(
    sound: Path, tmp_path: Path, damage: Callable[[Path], object], fault: str
) -> None:
    with site_on(tmp_path, sound) as client:
        damage(tmp_path / "matmon.db")
        for lang, words in (("en", ("The database", "damaged")), ("he", ("מסד הנתונים", "פגום"))):
            for path in PAGES:
                answer = get(client, f"{path}{'&' if '?' in path else '?'}lang={lang}")
                text = Page(answer.get_data(as_text=True)).text
                assert answer.status_code == 503, path
                assert words[0] in text
                assert (words[1] in text) == (fault == "damaged")
        check(get(client, "/api/search?q=אבן"), "search", 503)
        written = client.put("/api/documents/x", json={"title": "a"}, headers=BEARER)
        check(written, "replaceDocument", 503)
        health = check(get(client, "/health"), "health", 503)
        assert (health["status"], health["database"]) == ("error", fault)
        assert "flask --app app" in health["advice"][0]
        figures = check(get(client, "/api/monitoring/health"), "monitoringHealth", 503)
        assert (figures["status"], figures["database"]["fault"]) == ("error", fault)
        for path in ("/livez", "/status", "/static/style.css", "/import"):
            assert get(client, path).status_code == 200, path


def test_damage_that_no_request_met_is_found_by_health(sound: Path, tmp_path: Path) -> None:
    with site_on(tmp_path, sound) as client:
        assert get(client, "/health").get_json()["database"] == "ok"
    path = tmp_path / "matmon.db"
    overwrite(path, path.stat().st_size - 40 * PAGE_BYTES, path.stat().st_size)
    app = create_app(settings_for(f"sqlite:///{path}", tmp_path))
    assert get(app.test_client(), "/health").get_json()["database"] == "damaged"
    closed(app)


def test_a_restored_database_is_well_again_without_a_restart(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.database.CHECK_AGAIN_S", {True: 0.0, False: 0.0})
    with site_on(tmp_path, sound) as client:
        pages_between(tmp_path / "matmon.db")
        assert get(client, "/health").status_code == 503
        shutil.copy(sound, tmp_path / "new.db")
        (tmp_path / "new.db").replace(tmp_path / "matmon.db")
        runtime_of(client.application).engine.dispose()
        get(client, "/health")  # starts the check
        runtime_of(client.application).database._check.join(60)
        assert get(client, "/health").get_json()["database"] == "ok"
        assert get(client, "/text?q=אבן").status_code == 200


def test_a_mistake_in_a_statement_stays_a_fault_of_ours(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    def wrong() -> str:
        db.session.connection().exec_driver_sql("SELEC 1")
        return ""

    app.view_functions["search.status"] = wrong
    assert get(app.test_client(), "/status").status_code == 500
    assert "SELEC" in caplog.text


def test_a_full_disk_refuses_writes_and_recovers_by_itself(sound: Path, tmp_path: Path) -> None:
    with site_on(tmp_path, sound) as client:
        most = 0

        def limit(connection: object, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count={most or 1_073_741_823}")  # type: ignore[attr-defined]

        event.listen(runtime_of(client.application).engine, "checkout", limit)
        most = 1  # the least is what there is
        body = {"title": "a", "body": "long " * 20_000}
        for _ in range(2):
            error = check(client.put("/api/documents/x", json=body, headers=BEARER), "replaceDocument", 503)
            assert "The disk is full" in error["error"]["message"]
            assert get(client, "/text?q=אבן").status_code == 200
        health = check(get(client, "/health"), "health", 200)
        assert (health["status"], health["database"]) == ("degraded", "full")
        most = 0
        assert client.put("/api/documents/x", json=body, headers=BEARER).status_code == 201


@contextmanager
def read_only_disk(folder: Path, file: Path) -> Iterator[tuple[Path, Callable[[str], object]]]:
    """Give a folder on a disk of its own with the database, and what remounts it; skips where it cannot be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own needs root, and the right to mount one")
    try:
        shutil.copy(file, disk / "matmon.db")
        yield disk, lambda how: subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def statuses(server: Server) -> set[int]:
    return {server.send("GET", path).status for path in ("/", "/text?q=x", "/tags", "/documents/1", "/api/stats")} | {
        server.send("POST", "/api/recommend", b'{"skills": ["x"]}', Content_Type="application/json").status
    }


def test_a_read_only_disk_serves_reads_and_says_so_for_writes(sound: Path, tmp_path: Path) -> None:
    def write() -> tuple[int, str]:
        answer = server.send("PUT", "/api/documents/x", b'{"title": "a"}', Content_Type="application/json", **BEARER)
        return answer.status, answer.text

    with read_only_disk(tmp_path, sound) as (disk, remount):
        remount("ro")
        settings = {"INSTANCE_DIR": str(disk), "ADMIN_TOKEN": TOKEN, "SECRET_KEY": TOKEN}
        with serving(tmp_path, DATABASE_URL=f"sqlite:///{disk}/matmon.db", **settings) as server:
            assert statuses(server) == {200}
            assert write()[0] == 503
            assert "read-only" in write()[1]
            health = server.ask("/health")
            assert (health.status, health.json["status"], health.json["database"]) == (200, "degraded", "read_only")
            remount("rw")
            assert write()[0] == 201
            assert statuses(server) == {200}
            assert server.health()["database"] == "ok"
            assert "Traceback" not in server.log
