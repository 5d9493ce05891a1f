"""The queue at the real model: words for those beyond it, and a turn for a search between an import's batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from encoders.lazy import LazyEncoder
from encoders.onnx_encoder import OnnxEncoder
from encoders.queue import MOST_WAITING, EncoderQueue
from models import model_number
from runtime import runtime_of
from search.semantic import Semantic
from tests.conftest import closed, settings_for
from tests.markup import Page
from tests.semantic_side import use_semantic
from tests.waiting import until

pytestmark = pytest.mark.model

PASSAGE = "הדיירים רשאים לבקש מן הוועד פירוט של הוצאות הניקיון והגינון, והוועד ישיב בתוך שבועיים. " * 5


@pytest.fixture
def queue() -> EncoderQueue:
    return EncoderQueue(deadline_s=60)


@pytest.fixture
def app(site_folder: Path, e5_folder: Path, queue: EncoderQueue) -> Iterator[Flask]:
    """A site with connections for more searches at once than the model has places for."""
    app = create_app(
        settings_for(f"sqlite:///{site_folder}/matmon.db", site_folder, db_pool_size=20, rate_limit="9999/second")
    )
    encoder = OnnxEncoder(e5_folder, queue=queue)
    key = model_number(encoder.manifest.name, encoder.manifest.checksum)
    side = use_semantic(app, Semantic(LazyEncoder(lambda: encoder, "e5-small"), key))
    assert side.lazy.load(20)
    yield app
    closed(app)


def test_searches_beyond_the_queue_get_words_at_once_and_those_in_it_get_meaning(
    app: Flask, queue: EncoderQueue
) -> None:
    def ask(path: str, number: int) -> TestResponse:
        return app.test_client().get(path, query_string={"q": f"מים {number}", "mode": "semantic", "lang": "en"})

    with ThreadPoolExecutor(MOST_WAITING) as clients:
        waiting: list[Future[TestResponse]] = []
        with queue.slot():
            waiting += [clients.submit(ask, "/api/search", number) for number in range(MOST_WAITING)]
            until(lambda: queue.waiting == MOST_WAITING, "a full queue")
            refused = ask("/api/search", 100)
            assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
            page = Page(ask("/semantic", 101).get_data(as_text=True))
            assert "The model is busy with other searches; only keyword results are shown." in page.text
            assert page.all("li", class_="hit")
            by_words = app.test_client().get("/api/search?q=מים").get_json()
            assert (by_words["semantic"]["state"], len(by_words["hits"]) > 0) == ("busy", True)
            assert app.test_client().get("/api/search?q=מים&mode=text").get_json()["hits"]
            assert not [one for one in waiting if one.done()]
        answers = [one.result() for one in waiting]
    assert {one.status_code for one in answers} == {200}
    assert {one.get_json()["semantic"]["state"] for one in answers} == {"ready"}


def test_a_search_waits_for_one_batch_of_an_import_and_not_for_all(e5_folder: Path) -> None:
    done = threading.Semaphore(0)
    count = [0]

    def after_each() -> None:
        count[0] += 1
        done.release()

    encoder = OnnxEncoder(e5_folder, queue=EncoderQueue(after_each=after_each))
    passages = [f"{PASSAGE} {number}" for number in range(40)]
    embedding = threading.Thread(target=encoder.encode_passages, args=(passages,))
    embedding.start()
    for _ in range(2):
        assert done.acquire(timeout=60)
    before = count[0]
    encoder.encode_queries(["נדודי שינה"])
    after = count[0]
    assert embedding.is_alive()
    embedding.join()
    assert after - before < 10  # the batch at work and the search's own; more only where this test was slow to ask
    assert count[0] == 41


def test_what_an_import_encodes_keeps_the_model_from_being_given_back(site_folder: Path, e5_folder: Path) -> None:
    url = f"sqlite:///{site_folder}/matmon.db"
    app = create_app(settings_for(url, site_folder, semantic_model=e5_folder.name, models_dir=e5_folder.parent))
    lazy = runtime_of(app).semantic.lazy
    lazy.start()
    assert lazy.wait(20)
    lazy._used_at -= 3_600
    assert lazy.encoder
    lazy.encoder.encode_passages([PASSAGE])
    assert lazy.unused_s is not None
    assert lazy.unused_s < 3_600
    closed(app)
