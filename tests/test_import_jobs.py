"""An import behind a page while the model is busy, rests, or stays away: what was embedded stays, the rest waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.lazy import LazyEncoder
from encoders.queue import EncoderBusy
from indexing.embedding import BATCH, waiting_documents
from indexing.layout import Options
from jobs.claims import SILENT_S
from jobs.embedding import EMBED_JOB
from jobs.imports import PAUSES_S, ImportJobs, new_import, set_state
from jobs.uploads import upload_path
from models import Embedding, Job, db, model_number
from search.semantic import Semantic
from tests.conftest import sqlite_alone
from tests.fakes import HashedWords
from tests.markup import Page
from tests.semantic_side import use_semantic
from tests.visits import signed_in

MODEL = model_number(HashedWords.manifest.name, HashedWords.manifest.checksum)
DOCUMENTS = 3 * BATCH


class Busy(HashedWords):
    """An encoder that has no turn to give at some of its calls."""

    def __init__(self, away_at: Callable[[int], bool]) -> None:
        super().__init__()
        self.away_at = away_at

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        made = super()._encode(texts)
        if self.away_at(len(self.calls)):
            raise EncoderBusy("8 texts are already waiting for the model")
        return made


database = sqlite_alone  # what a job does about the model does not depend on the database


@pytest.fixture
def job(session: Session) -> int:
    return int(new_import(session, "rain.jsonl", Options("rain")).id)


@pytest.fixture
def file(session: Session, job: int, tmp_path: Path) -> Path:
    path = upload_path(tmp_path, session.get_one(Job, job))
    path.write_text("".join(json.dumps({"title": f"Rain {n}"}) + "\n" for n in range(DOCUMENTS)), encoding="utf-8")
    return path


def run(app: Flask, job: int, file: Path, encoder: Callable[[], Encoder | None], tries: int = 5) -> Job:
    engine = db.engine
    set_state(db.session(), Job, job, "queued")
    work = ImportJobs(lambda: Session(engine), file.parent, encoder, [0.0] * (tries - 1))
    assert work.run_next(threading.Event())
    db.session.expire_all()
    return db.session.get_one(Job, job)


def embedded(session: Session) -> int:
    session.rollback()
    return session.execute(select(func.count(func.distinct(Embedding.document_id)))).scalar_one()


def test_a_busy_model_is_asked_again_until_all_is_embedded(app: Flask, session: Session, job: int, file: Path) -> None:
    encoder = Busy(lambda call: call % 2 == 0)
    # Each try takes a batch, but begins at a place at random: the keys' end may cut any of them short.
    ended = run(app, job, file, lambda: encoder, tries=20)
    assert (ended.state, ended.report["new"]) == ("done", DOCUMENTS)
    assert embedded(session) == DOCUMENTS
    texts = [text for call in encoder.calls[0::2] for text in call]
    assert len(texts) == len(set(texts)) == DOCUMENTS  # what was embedded was not embedded again


def test_a_model_that_stays_away_leaves_the_rest_to_the_command(
    app: Flask, session: Session, job: int, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Busy(lambda call: call > 1)
    ended = run(app, job, file, lambda: encoder, tries=4)
    assert (ended.state, ended.report["new"]) == ("done", DOCUMENTS)
    assert len(encoder.calls) == 1 + 4
    assert 0 < embedded(session) <= BATCH
    assert waiting_documents(session, MODEL, "rain") == DOCUMENTS - embedded(session)
    assert not file.exists()
    assert "the embed job continues" in caplog.text
    assert ended.report["unembedded"] == DOCUMENTS - embedded(session)
    queued = session.get_one(Job, EMBED_JOB, populate_existing=True)
    assert (queued.kind, queued.state) == ("embed", "queued")


def test_a_model_that_rests_is_waited_for(app: Flask, session: Session, job: int, file: Path) -> None:
    asked = iter([True, True, False])

    def encoder() -> Encoder:
        if next(asked):
            raise EncoderBusy("memory is short: 490 of 512 MB are used")
        return HashedWords()

    assert run(app, job, file, encoder).state == "done"
    assert embedded(session) == DOCUMENTS


def test_without_a_model_nothing_is_waited_for(app: Flask, session: Session, job: int, file: Path) -> None:
    assert run(app, job, file, lambda: None).state == "done"
    assert embedded(session) == 0


def test_the_page_of_a_job_says_how_many_wait_and_for_what(app: Flask, job: int, file: Path) -> None:
    use_semantic(app, Semantic(LazyEncoder(HashedWords, "hashed"), MODEL))
    run(app, job, file, lambda: Busy(lambda call: call > 1), tries=1)
    client = app.test_client()
    signed_in(client)
    found = Page(client.get(f"/import/{job}?lang=en").get_data(as_text=True))
    assert "Done." in found.text
    assert f"{DOCUMENTS - embedded(db.session())} documents have no embedding yet." in found.text
    assert "flask --app app embed" in found.text
    run(app, job_anew(file.parent), file, HashedWords)
    assert "no embedding" not in Page(client.get(f"/import/{job}?lang=en").get_data(as_text=True)).text


def job_anew(folder: Path) -> int:
    job = new_import(db.session(), "rain.jsonl", Options("rain"))
    upload_path(folder, job).write_text('{"title": "Rain 0"}\n', encoding="utf-8")
    return job.id


def test_a_job_that_pauses_is_not_taken_for_dead() -> None:
    assert max(PAUSES_S) < SILENT_S
    assert 60 <= sum(PAUSES_S) <= 90
