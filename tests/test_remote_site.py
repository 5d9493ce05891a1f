"""A site whose model is on another host: the same embeddings, no runtime here, and words alone while it is away."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from config import ROOT
from encoders.endpoint import Endpoint
from encoders.onnx_encoder import OnnxEncoder
from encoders.remote import open_remote
from indexing.embedding import embed
from models import db
from runtime import runtime_of
from search.semantic import Semantic
from tests.collections import HOUSE
from tests.conftest import Started, closed, settings_for
from tests.endpoints import Endpoints, Reply, Told, as_json, endpoint, good, openai
from tests.markup import Page
from tests.model_hosts import ModelHost, model_host
from tests.servers import environment, serving
from tests.visits import operator
from tests.waiting import until

# --- with a real model host ---


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory, with_e5: dict[str, str]) -> Iterator[ModelHost]:
    with model_host(tmp_path_factory.mktemp("host"), EMBEDDINGS_API_KEY="a-key", **with_e5) as started:
        yield started


@pytest.fixture
def remote(host: ModelHost, tmp_path: Path) -> dict[str, str]:
    """The settings of a site that has no model of its own."""
    return {
        "SEMANTIC_MODEL": "remote", "EMBEDDINGS_URL": host.url, "EMBEDDINGS_API_KEY": "a-key",
        "MODELS_DIR": str(tmp_path / "no-models"),
    }  # fmt: skip


def flask(folder: Path, settings: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "flask", "--app", "app", *arguments]
    given = environment(folder, PYTHONIOENCODING="utf-8", **settings)
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.model
def test_a_remote_model_gives_the_embeddings_and_the_key_of_the_same_model_here(
    host: ModelHost, e5_folder: Path, tmp_path: Path
) -> None:
    there, here = open_remote(Endpoint(host.url, "", "a-key"), tmp_path, ("", "")), OnnxEncoder(e5_folder)
    texts = ["שלום", "", "אֵיךְ חוסכים מים בבית?", "Good bread. " * 300, "  spaces \n everywhere "]
    for one, other in (
        (here.encode_queries(texts), there.encode_queries(texts)),
        (here.encode_passages(texts), there.encode_passages(texts)),
        (here.encode_tags(texts[:1]), there.encode_tags(texts[:1])),
    ):
        assert ((one * other).sum(axis=1) > 0.9999).all()
    measured = {
        "source": "",
        "files": {},
        "sizes": {},
        "letters_per_token": 0.0,
        "folder": Path(),
        "passage_batch_size": 4,
    }
    assert replace(there.manifest, **measured) == replace(here.manifest, **measured)  # type: ignore[arg-type]


@pytest.mark.model
def test_what_was_embedded_here_is_found_by_the_model_there_and_nothing_is_loaded_here(
    site_folder: Path, with_e5: dict[str, str], remote: dict[str, str]
) -> None:
    asked = ("search", "נדודי שינה", "--mode", "semantic", "--json")
    here = [hit["id"] for hit in json.loads(flask(site_folder, with_e5, *asked))["hits"]]
    with serving(site_folder, **remote) as server:
        until(lambda: server.search("נדודי שינה", "semantic")["semantic"]["state"] == "ready", "the model")
        found = server.search("נדודי שינה", "semantic")
        assert [hit["id"] for hit in found["hits"]] == here
        assert server.search("insomnia", "hybrid")["semantic"]["state"] == "ready"
        assert not server.holds("onnxruntime")
        assert server.health()["model"] == {"name": "remote", "state": "ready", "loaded": True}
        assert "a-key" not in server.log


@pytest.mark.model
def test_what_was_embedded_through_the_host_is_found_by_the_model_here(
    site_folder: Path, with_e5: dict[str, str], remote: dict[str, str]
) -> None:
    rows = [{"id": f"new-{place}", "title": one.title, "body": one.body} for place, one in enumerate(HOUSE)]
    (site_folder / "new.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    flask(site_folder, remote, "import", str(site_folder / "new.jsonl"), "--collection", "new")
    assert "5 embedded under e5-small" in flask(site_folder, remote, "embed")
    lines = flask(site_folder, remote, "models").splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("* e5-small  384 dimensions")
    assert lines[1] == f"Current: remote at {remote['EMBEDDINGS_URL']} (SEMANTIC_MODEL=remote)"
    assert "0 embedded" in flask(site_folder, with_e5, "embed")
    asked = ("search", "baking loaves", "--mode", "semantic", "--collection", "new", "--json")
    there, here = (json.loads(flask(site_folder, one, *asked)) for one in (remote, with_e5))
    assert [hit["id"] for hit in there["hits"]] == [hit["id"] for hit in here["hits"]] != []


@pytest.mark.model
def test_a_site_may_be_switched_to_the_remote_model(
    site_folder: Path, with_e5: dict[str, str], remote: dict[str, str]
) -> None:
    assert "is used from now on" in flask(site_folder, remote, "models", "switch", "remote")
    assert "Current: e5-small (switched to)" in flask(site_folder, with_e5, "models")


# --- with hosts that do what they should not ---

ASKED = iter(range(10_000))


@pytest.fixture
def site(started: Started, tmp_path: Path) -> Iterator[tuple[Flask, Endpoints]]:
    """An app over a small collection, embedded by an endpoint that is not Matmon's, and that endpoint."""
    from indexing.documents import write_documents

    with started.maker("sqlite").fresh(tmp_path) as url, endpoint() as served:
        app = create_app(settings_for(url, tmp_path, semantic_model="remote", embeddings_url=served.url))
        side: Semantic = runtime_of(app).semantic
        assert side.lazy.load(30), side.lazy.error
        with app.app_context():
            write_documents(db.session(), "house", list(HOUSE))
            assert side.lazy.encoder
            embed(db.session(), side.lazy.encoder)
        yield app, served
        closed(app)


def found(app: Flask, mode: str = "hybrid") -> dict:
    """Return the answer to a search that was never made before: one that was is remembered."""
    answer = app.test_client().get(f"/api/search?q=bread+{next(ASKED)}&mode={mode}")
    assert answer.status_code == 200
    return answer.get_json()


def test_a_site_searches_by_the_meaning_that_an_endpoint_gives(site: tuple[Flask, Endpoints]) -> None:
    app, served = site
    answer = found(app)
    assert answer["semantic"] == {"state": "ready", "model": "remote"}
    assert answer["hits"][0]["id"] == "bread"
    before = len(served.asked)
    for _ in range(3):
        app.test_client().get("/api/search?q=the+same+words&mode=hybrid")
    assert len(served.asked) == before + 1


def lost(_: Told) -> Reply:
    return Reply(b"{}" * 50, cut=10)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: Reply(b"<html>"), "answers no JSON"),
        (lambda _: openai([[1.0, 2.0]]), "gives embeddings 2 wide, and those stored are 64 wide"),
        (lambda _: openai([[float("nan")] * 64]), "no numbers"),
        (lambda _: as_json({}, 500), "answers 500"),
        (lambda _: as_json({}, 401), "look at EMBEDDINGS_API_KEY"),
        (lambda _: as_json({}, 429, Retry_After="60"), "answers 429"),
        (lost, "does not answer"),
    ],
)
def test_while_the_endpoint_is_away_words_are_found_and_all_say_so(
    site: tuple[Flask, Endpoints],
    answer: Callable[[Told], Reply],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, served = site
    client = operator(app)
    served.answer = answer
    with caplog.at_level(logging.WARNING, "matmon.search"):
        for mode in ("hybrid", "semantic"):
            given = found(app, mode)
            assert (given["semantic"]["state"], given["hits"][0]["id"]) == ("unavailable", "bread")
    (record,) = caplog.records
    assert said in record.getMessage()
    assert "Falling back to keyword search: " in record.getMessage()
    page = Page(client.get(f"/?q=bread+{next(ASKED)}&lang=en").get_data(as_text=True))
    assert "not available right now; only keyword results are shown" in page.text
    assert said in Page(client.get("/status?lang=en").get_data(as_text=True)).text
    assert client.get("/health").get_json()["model"]["state"] == "unavailable"
    assert client.get(f"/tags?tag=strange+{next(ASKED)}").status_code == 200
    assert client.get("/documents/bread").status_code == 200


def test_once_the_endpoint_is_back_meaning_is_searched_again(site: tuple[Flask, Endpoints]) -> None:
    app, served = site
    served.answer = lambda _: as_json({}, 500)
    assert found(app)["semantic"]["state"] == "unavailable"
    served.answer = good
    assert found(app)["semantic"]["state"] == "ready"
    assert app.test_client().get("/health").get_json()["model"]["state"] == "ready"
    assert "answers 500" not in operator(app).get("/status?lang=en").get_data(as_text=True)


def test_a_slow_endpoint_does_not_hold_a_search_and_soon_is_not_asked_any_more(site: tuple[Flask, Endpoints]) -> None:
    app, served = site
    go_on = threading.Event()
    served.answer = lambda _: Reply(held=go_on)
    took = []
    for _ in range(5):
        began = time.monotonic()
        assert found(app)["hits"][0]["id"] == "bread"
        took.append(time.monotonic() - began)
    go_on.set()
    assert max(took) < 4.5
    assert max(took[3:]) < 1  # left alone by now


@pytest.mark.model
def test_a_slow_endpoint_holds_two_of_four_threads_at_the_most(site_folder: Path, tmp_path: Path) -> None:
    go_on = threading.Event()
    with endpoint() as served, serving(site_folder, SEMANTIC_MODEL="remote", EMBEDDINGS_URL=served.url) as server:
        until(lambda: server.search("מים", "semantic")["semantic"]["state"] == "ready", "the model")
        before, served.answer = len(served.asked), lambda _: Reply(held=go_on)
        with ThreadPoolExecutor(12) as clients:
            begun = [clients.submit(server.search, f"מים {n}", "hybrid") for n in range(12)]
            until(lambda: len(served.asked) == before + 2, "two searches wait")
            assert server.search("מים", "text")["hits"]
            assert not all(one.done() for one in begun)  # the words came while others waited
            states = {one.result()["semantic"]["state"] for one in begun}
        go_on.set()
        assert states <= {"busy", "unavailable"}
        assert "Falling back to keyword search" in server.log
        assert "Traceback" not in server.log


def test_a_start_while_the_endpoint_is_down_searches_words_and_meaning_once_it_is_up(
    started: Started, tmp_path: Path
) -> None:
    with endpoint() as first:
        port = int(first.url.rsplit(":", 1)[1])
        open_remote(Endpoint(first.url), tmp_path / "remote", ("", ""))
    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path, semantic_model="remote", embeddings_url=first.url))
        side: Semantic = runtime_of(app).semantic
        assert side.model.key is not None  # what is kept is known at the start
        assert side.lazy.load(30)
        assert found(app)["semantic"]["state"] == "unavailable"
        with endpoint(port=port) as again:
            assert found(app)["semantic"]["state"] == "ready"
            assert all(told.path == "/v1/embeddings" for told in again.asked)
        closed(app)


def test_nothing_kept_and_nobody_there_is_unavailable_with_the_reason(started: Started, tmp_path: Path) -> None:
    with endpoint() as gone:
        pass
    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path, semantic_model="remote", embeddings_url=gone.url))
        side: Semantic = runtime_of(app).semantic
        assert not side.lazy.load(30)
        assert found(app)["semantic"]["state"] == "unavailable"
        page = Page(operator(app).get("/status?lang=en").get_data(as_text=True))
        assert "no connection; look at EMBEDDINGS_URL" in page.text
        closed(app)


def test_an_embedding_of_many_that_is_cut_off_keeps_what_is_done_and_goes_on(site: tuple[Flask, Endpoints]) -> None:
    app, served = site
    from commands.register import register

    register(app)
    with app.app_context():
        from indexing.documents import write_documents

        write_documents(db.session(), "again", list(HOUSE))
        db.session.remove()
        served.answer = lambda _: as_json({"error": "no such model"}, 404)
        cut_off = app.test_cli_runner().invoke(args=["embed"])
        assert cut_off.exit_code == 1
        assert "no such model" in cut_off.stderr
        assert "What is done is kept; run it again to go on" in cut_off.stderr
        served.answer = good
        assert "5 embedded" in app.test_cli_runner().invoke(args=["embed"]).stdout
