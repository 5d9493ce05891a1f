"""Pages while meaning is off, loading, gone or there; pages of errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from encoders.base import Encoder
from encoders.lazy import LazyEncoder
from encoders.queue import EncoderBusy
from indexing.documents import NewDocument, write_documents
from indexing.embedding import embed
from models import db, model_number
from search.semantic import Semantic
from tests.conftest import closed, settings_for, sqlite_alone
from tests.fakes import HashedWords
from tests.markup import Page
from tests.semantic_side import use_semantic
from tests.visits import operator, page

DOCUMENTS = [
    NewDocument(own_id="1", title="Saving water at home", body="A bucket in the shower.", tags=("water", "home water")),
    NewDocument(own_id="2", title="Saving rain water at home", body="A barrel, a bucket.", tags=("rain",)),
]


database = sqlite_alone  # what these pages say does not depend on the database


@pytest.fixture
def filled(app: Flask) -> Flask:
    with app.app_context():
        write_documents(db.session(), "home", DOCUMENTS)
    return app


def give(app: Flask, load: Callable[[], Encoder] | None) -> Semantic:
    made = HashedWords.manifest
    side = Semantic(LazyEncoder(load, made.name), model_number(made.name, made.checksum) if load else None)
    use_semantic(app, side)
    return side


def test_off_is_said_and_the_words_are_offered_instead(filled: Flask) -> None:
    client = filled.test_client()
    give(filled, None)
    assert "turned off on this site" in page(client, "/?lang=en").text
    found = page(client, "/semantic?q=water")
    assert "Semantic search is turned off" in found.text
    assert any(one.get("href") == "/text?q=water" for one in found.all("a"))
    assert found.one("div", id="results")["data-state"] == "settled"
    assert "turned off" not in page(client, "/text?q=water").one("div", id="results")["data-joined"]


def test_loading_shows_the_words_at_once_and_how_to_ask_again(filled: Flask) -> None:
    client, go_on = filled.test_client(), threading.Event()

    def load() -> Encoder:
        go_on.wait(20)
        return HashedWords()

    side = give(filled, load)
    found = page(client, "/?q=water&lang=en")
    assert len(found.all("li", class_="hit")) == 2
    assert "semantic results will be added in a moment" in found.text
    results = found.one("div", id="results")
    assert (results["data-state"], results["data-part"]) == ("loading", "/?q=water&part=results")
    assert any(one.get("href") == "/?q=water" for one in found.all("a"))
    go_on.set()
    assert side.lazy.wait(20)
    assert page(client, results["data-part"]).one("div", id="results")["data-state"] == "settled"


def test_unavailable_is_said_and_the_words_are_searched(filled: Flask) -> None:
    client = operator(filled)

    def load() -> Encoder:
        raise RuntimeError("a file is damaged")

    side = give(filled, load)
    assert not side.lazy.load(20)
    found = page(client, "/?q=water&lang=en")
    assert "not available right now; only keyword results are shown" in found.text
    assert len(found.all("li", class_="hit")) == 2
    assert "a file is damaged" in page(client, "/status").text


def test_meaning_alone_falls_back_to_words_and_says_so(filled: Flask) -> None:
    def load() -> Encoder:
        raise RuntimeError("a file is damaged")

    assert not give(filled, load).lazy.load(20)
    found = page(filled.test_client(), "/semantic?q=water&lang=en")
    assert "not available right now; only keyword results are shown" in found.text
    assert len(found.all("li", class_="hit")) == 2


class Busy(HashedWords):
    """An encoder that has no turn to give."""

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        raise EncoderBusy(f"8 texts are already waiting for the model, and {len(texts)} came")


@pytest.mark.parametrize("path", ["/", "/semantic", "/tags"])
def test_a_busy_model_is_said_and_the_words_are_searched(filled: Flask, path: str) -> None:
    assert give(filled, Busy).lazy.load(20)
    found = page(filled.test_client(), f"{path}?q=water&lang=en")
    assert "The model is busy with other searches; only keyword results are shown." in found.text
    assert len(found.all("li", class_="hit")) >= 1


def test_a_busy_model_is_503_to_who_asks_for_meaning_alone_and_tells_when_to_come_again(filled: Flask) -> None:
    assert give(filled, Busy).lazy.load(20)
    client = filled.test_client()
    refused = client.get("/api/search?q=water&mode=semantic")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.get_json()["error"]["code"] == "service_unavailable"
    by_words = client.get("/api/search?q=water").get_json()
    assert (by_words["semantic"]["state"], len(by_words["hits"])) == ("busy", 2)


def test_ready_says_how_close_and_shows_tags_and_documents_near_in_meaning(filled: Flask) -> None:
    client = filled.test_client()
    with filled.app_context():
        embed(db.session(), HashedWords())
    assert give(filled, HashedWords).lazy.load(20)
    assert "similarity:" in page(client, "/?q=saving+water&lang=en").text
    assert "Similar documents" in page(client, "/documents/1").text
    assert "Similar tags" in page(client, "/tags?tag=water").text


def test_status_stands_without_the_database(app: Flask) -> None:
    client = operator(app)
    with app.app_context():
        db.session.execute(db.text("DROP TABLE state"))
        db.session.commit()
    found = page(client, "/status?lang=en")
    assert "The database does not answer" in found.text
    assert "Memory" in found.text


@pytest.mark.parametrize(("lang", "said"), [("en", "Back in a moment"), ("he", "תכף נחזור")])
def test_a_page_without_the_database_is_503_in_the_readers_language(app: Flask, lang: str, said: str) -> None:
    with app.app_context():
        db.session.execute(db.text("DROP TABLE state"))
        db.session.execute(db.text("DROP TABLE document"))
        db.session.commit()
    answer = app.test_client().get(f"/text?q=water&lang={lang}")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert said in Page(answer.get_data(as_text=True)).text


def test_a_page_that_is_not_there_offers_a_search_and_a_way_home(client: FlaskClient) -> None:
    answer = client.get("/no/such?lang=en")
    found = Page(answer.get_data(as_text=True))
    assert answer.status_code == 404
    assert found.all("input", id="q")
    assert "This drawer is empty" in found.text


def test_too_many_searches_are_told_to_wait(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path, rate_limit="2/minute"))
    client = app.test_client()
    answers = [client.get("/text?q=a&lang=en") for _ in range(3)]
    closed(app)
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "One moment, please" in Page(answers[-1].get_data(as_text=True)).text


def test_a_fault_of_ours_is_owned_up_to_and_tells_nothing(app: Flask) -> None:
    def broken() -> str:
        raise RuntimeError("secret detail")

    app.view_functions["search.status"] = broken
    answer = operator(app).get("/status?lang=en")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "The error is ours" in Page(text).text
    assert "secret detail" not in text
