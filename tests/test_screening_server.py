"""A screening on the real server: it runs behind the answer, and a started worker goes on where another was cut off."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from indexing.documents import NewDocument, write_documents
from models import db
from tests.conftest import Started, settings_for
from tests.conftest import closed as closed_app
from tests.servers import serving
from tests.waiting import until


@pytest.fixture
def folder(started: Started, tmp_path: Path) -> Path:
    """An instance folder with a job and 3,000 profiles."""
    from app import create_app

    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path))
        with app.app_context():
            write_documents(db.session(), "jobs", [NewDocument("dev", "Developer", "", ("SQL", "Python"))])
            people = [
                NewDocument(f"p{n}", f"Person {n}", "", ("SQL",) if n % 2 else ("Python", "SQL")) for n in range(3_000)
            ]
            write_documents(db.session(), "profiles", people)
        closed_app(app)
    return tmp_path


def asked(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "matmon.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def test_it_runs_behind_the_answer_and_a_started_worker_takes_up_what_was_cut_off(folder: Path) -> None:
    with serving(folder) as server:
        begun = server.send("POST", "/api/screenings", b'{"job_id": "dev"}', Content_Type="application/json")
        assert begun.status == 202
        address = begun.headers["Location"]
        cookie = begun.headers["Set-Cookie"].partition(";")[0]
        assert server.ask(address).status == 404
        done = until(
            lambda: (found := server.send("GET", address, Cookie=cookie).json)["state"] == "done" and found,
            "the screening's end",
        )
        assert (done["done"], done["matching"]) == (3_000, 3_000)
        assert done["results"][0]["match_percent"] == 100
    # As a worker leaves it that is killed halfway.
    asked(folder, "DELETE FROM screening_result WHERE document_id IN (SELECT id FROM document ORDER BY id LIMIT 1500)")
    cut_off = "UPDATE screening SET state = 'running', claim = 1, done = 1500, updated_at = ?"
    asked(folder, cut_off, int(time.time()) - 60)
    with serving(folder):
        ended = "SELECT state, done FROM screening WHERE state != 'running'"
        assert until(lambda: asked(folder, ended), "a run that nobody asked for") == [("done", 3_000)]
    assert asked(folder, "SELECT count(*) FROM screening_result") == [(3_000,)]
