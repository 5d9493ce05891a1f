"""Background work: claimed once, cancelled, resumed, honest about what is left, and ended with the process."""

from __future__ import annotations

import errno
import io
import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import create_app
from encoders.lazy import LazyEncoder
from indexing.documents import NewDocument, write_documents
from indexing.embedding import embed, waiting_documents
from indexing.layout import Options
from jobs import embedding as embed_jobs
from jobs.claims import Claim, Queue
from jobs.imports import ImportJobs, cancel_import, new_import, start_import
from jobs.runner import STOP_S
from jobs.uploads import upload_path
from models import Embedding, Job, db, document_number, model_number
from runtime import runtime_of
from screening.runner import Run
from screening.store import delete_screening
from search.semantic import Semantic
from tests.conftest import closed, settings_for
from tests.fakes import HashedWords
from tests.screened import begun, filled, opened, run
from tests.semantic_side import use_semantic
from tests.servers import serving
from tests.visits import BEARER
from tests.waiting import imports_ended, until

MODEL = model_number(HashedWords.manifest.name, HashedWords.manifest.checksum)
ROWS = "".join(json.dumps({"title": f"Rain {number}"}) + "\n" for number in range(40))


@pytest.fixture
def searchable(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The app with a model that is fast to load."""
    monkeypatch.setattr(embed_jobs, "DEBOUNCE_S", 0)
    use_semantic(app, Semantic(LazyEncoder(HashedWords, "hashed"), MODEL, manifest=HashedWords.manifest))
    return app


def queued(session: Session, folder: Path) -> Job:
    job = new_import(session, "rain.jsonl", Options("rain"))
    path = upload_path(folder, job)
    path.parent.mkdir(exist_ok=True)
    path.write_text(ROWS, encoding="utf-8")
    assert start_import(session, job)
    return job


def claimed(session: Session) -> Claim | None:
    return Queue(lambda: opened(session), Job, conditions=(Job.kind == "import",)).claim_next(threading.Event())


def test_an_import_starts_once(session: Session, tmp_path: Path) -> None:
    job = queued(session, tmp_path)
    assert not start_import(session, job)
    assert claimed(session) is not None
    assert claimed(session) is None
    session.expire_all()
    assert not start_import(session, job)


def test_an_import_whose_file_is_elsewhere_is_left_to_its_host(session: Session, tmp_path: Path) -> None:
    queued(session, tmp_path / "another")
    work = ImportJobs(lambda: opened(session), tmp_path / "here", lambda: None)
    assert (work.run_next(threading.Event()), work.is_open()) == (False, False)


def test_a_cancelled_import_keeps_what_it_stored_and_can_go_on(app: Flask, session: Session, tmp_path: Path) -> None:
    job = queued(session, tmp_path)

    class Cancelling(HashedWords):
        def _encode(self, texts: Sequence[str]) -> np.ndarray:
            cancel_import(session, session.get_one(Job, job.id))
            return super()._encode(texts)

    work = ImportJobs(lambda: Session(session.get_bind()), tmp_path, Cancelling)
    assert work.run_next(threading.Event())
    session.expire_all()
    assert (job.state, job.claim) == ("cancelled", 0)
    assert app.test_client().get("/api/stats").get_json()["documents"] == 40
    assert start_import(session, job)
    assert ImportJobs(lambda: Session(session.get_bind()), tmp_path, HashedWords).run_next(threading.Event())
    session.expire_all()
    assert (job.state, job.report["unchanged"], job.report["unembedded"]) == ("done", 40, 0)
    assert waiting_documents(session, MODEL, "rain") == 0


def test_a_stop_puts_the_import_back_into_the_queue(session: Session, tmp_path: Path) -> None:
    job, stop = queued(session, tmp_path), threading.Event()

    class Stopping(HashedWords):
        def _encode(self, texts: Sequence[str]) -> np.ndarray:
            stop.set()
            return super()._encode(texts)

    assert ImportJobs(lambda: Session(session.get_bind()), tmp_path, Stopping).run_next(stop)
    session.expire_all()
    assert job.state == "queued"
    assert ImportJobs(lambda: Session(session.get_bind()), tmp_path, HashedWords).run_next(threading.Event())
    session.expire_all()
    assert job.state == "done"


def test_what_the_api_writes_is_embedded_soon_after(searchable: Flask) -> None:
    client = searchable.test_client()
    for number in range(3):
        body = {"id": f"d{number}", "title": f"Rain {number}", "collection": "rain"}
        assert client.post("/api/documents", json=body, headers=BEARER).status_code == 201
    imports_ended()
    with searchable.app_context():
        assert waiting_documents(db.session(), MODEL) == 0
        assert db.session().get_one(Job, embed_jobs.EMBED_JOB).state == "done"
    assert client.post("/api/documents", json=body, headers=BEARER).status_code == 200
    with searchable.app_context():
        assert db.session().get_one(Job, embed_jobs.EMBED_JOB).state == "done"  # nothing changed: nothing is queued


def test_a_document_rewritten_while_it_is_embedded_keeps_no_embedding_of_its_former_text(session: Session) -> None:
    write_documents(session, "house", [NewDocument("bread", "Good bread", "flour")])
    texts: list[str] = []

    class Rewriting(HashedWords):
        def _encode(self, given: Sequence[str]) -> np.ndarray:
            if not texts:
                with Session(session.get_bind()) as other:
                    write_documents(other, "house", [NewDocument("bread", "Telescopes", "stars")])
            texts.extend(given)
            return super()._encode(given)

    encoder = Rewriting()
    embed(session, encoder)
    rows = select(Embedding.content_hash).where(Embedding.document_id == document_number("house", "bread"))
    assert "Good bread" in texts[0]
    assert session.execute(rows).scalars().all() == []
    session.rollback()
    assert embed(session, encoder).done == 1
    assert "Telescopes\nstars" in texts


def test_a_full_disk_leaves_neither_a_file_nor_a_job_behind(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: Any, path: Path, *_: Any) -> None:
        Path(path).write_bytes(b"title\n")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("werkzeug.datastructures.FileStorage.save", full)
        response = upload(client)
        assert (response.status_code, response.get_json()["error"]["code"]) == (422, "disk_full")
    folder = runtime_of(client.application).upload_folder
    assert list(folder.iterdir()) == []
    with client.application.app_context():
        assert db.session.execute(select(Job)).all() == []
    assert upload(client).status_code == 202
    imports_ended()


def test_an_import_that_meets_a_full_database_waits_and_goes_on(
    sqlite_alone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings_for(sqlite_alone, tmp_path))
    engine, most = runtime_of(app).engine, 0

    def limit(connection: Any, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={most or 1_073_741_823}")

    event.listen(engine, "checkout", limit)
    with app.app_context():
        session = db.session()
        job = new_import(session, "rain.jsonl", Options("rain"))
        number, path = job.id, upload_path(tmp_path / "uploads", job)
        path.parent.mkdir(exist_ok=True)
        path.write_text(ROWS.replace("Rain", "Rain " + "x" * 20_000), encoding="utf-8")
        assert start_import(session, job)
        session.close()
        work = ImportJobs(runtime_of(app).sessions, path.parent, lambda: None)
        most = 1  # the least is what there is
        with pytest.raises(OperationalError, match="full"):
            work.run_next(threading.Event())
        most = 0
        job = db.session.get_one(Job, number, populate_existing=True)
        assert job.state in ("queued", "running")
        monkeypatch.setattr("jobs.claims.SILENT_S", -1)  # as if the claim had been silent for long
        assert work.run_next(threading.Event())
        job = db.session.get_one(Job, number, populate_existing=True)
        assert (job.state, job.report["new"]) == ("done", 40)
    closed(app)


def upload(client: FlaskClient) -> Any:
    file = (io.BytesIO(b"title\nrain\n"), "rain.csv")
    return client.post("/api/import", data={"file": file}, headers=BEARER)


def test_a_screening_deleted_while_it_runs_ends_without_an_error(
    session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    side = filled(session)
    number, usual = begun(session), Run._batch

    def deleted(self: Run, *arguments: Any) -> None:
        delete_screening(session, number)
        usual(self, *arguments)

    monkeypatch.setattr(Run, "_batch", deleted)
    with caplog.at_level(logging.INFO):
        run(session, side)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.model
def test_sigterm_with_an_import_at_work_ends_cleanly_and_the_next_process_goes_on(
    tmp_path: Path, with_e5: dict[str, str], database: str
) -> None:
    rows = "".join(
        json.dumps({"title": f"Rain {number}", "body": "A long rain. " * 150}) + "\n" for number in range(200)
    )
    body = f'--x\r\nContent-Disposition: form-data; name="file"; filename="rain.jsonl"\r\n\r\n{rows}\r\n--x--\r\n'
    headers: dict[str, Any] = {"Content_Type": "multipart/form-data; boundary=x", **BEARER}
    secrets = {"ADMIN_TOKEN": "a token of the tests", "SECRET_KEY": "a secret of the tests"}
    settings = {"DATABASE_URL": database, **secrets, **with_e5}
    bearer: dict[str, Any] = BEARER
    with serving(tmp_path, **settings) as server:
        address = server.send("POST", "/api/import", body.encode(), **headers).json["address"]
        until(lambda: state(server, address) == "embedding", "the import's embedding")
        server.process.terminate()
        assert server.process.wait(STOP_S + 5) == 0, server.log
        assert "Traceback" not in server.log
    with serving(tmp_path, **settings) as server:
        until(lambda: state(server, address) in ("running", "embedding", "done"), "the import's going on")
        server.send("POST", f"{address}/cancel", b"", **bearer)


def state(server: Any, address: str) -> str:
    bearer: dict[str, Any] = BEARER
    return str(server.send("GET", address, **bearer).json["state"])
