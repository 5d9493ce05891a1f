"""serve-embeddings: what it answers, whom it refuses, and how it lives as a process with the real model."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from encoders.lazy import LazyEncoder
from encoders.manifest import ModelUnusable
from encoders.onnx_encoder import OnnxEncoder
from encoders.queue import EncoderBusy
from tests.commands import run
from tests.conftest import settings_for
from tests.fakes import HashedWords, embedding
from tests.model_hosts import model_host
from tests.waiting import until
from utils.memory import MB, process_memory
from web.embeddings_server import MOST_BODY_BYTES, MOST_TEXTS, create_embeddings_app

WITHOUT_MEANS = replace(HashedWords.manifest, means="")


class Words(HashedWords):
    manifest = WITHOUT_MEANS


def client_of(load: type[HashedWords] = Words, key: str = "") -> FlaskClient:
    return create_embeddings_app(LazyEncoder(load, "hashed"), key).test_client()


def test_the_answer_has_openais_shape() -> None:
    answer = client_of().post("/v1/embeddings", json={"input": ["good bread", "rent"], "model": "hashed"}).get_json()
    assert (answer["object"], answer["model"], answer["usage"]) == (
        "list", "hashed", {"prompt_tokens": 7, "total_tokens": 7},
    )  # fmt: skip
    assert [(row["object"], row["index"]) for row in answer["data"]] == [("embedding", 0), ("embedding", 1)]
    assert np.allclose([row["embedding"] for row in answer["data"]], [embedding("good bread"), embedding("rent")])


def test_one_text_alone_is_a_text_too_and_embed_has_the_native_shape() -> None:
    client = client_of()
    assert len(client.post("/v1/embeddings", json={"input": "good bread"}).get_json()["data"]) == 1
    assert np.allclose(client.post("/embed", json={"inputs": "good bread"}).get_json(), [embedding("good bread")])
    assert len(client.post("/embed", json={"inputs": ["a", "b"], "truncate": True}).get_json()) == 2


def test_another_matmon_is_told_what_it_must_know_and_nothing_of_this_host() -> None:
    row = client_of().get("/v1/models").get_json()["data"][0]
    assert (row["id"], row["matmon"]["checksum"], row["matmon"]["dim"]) == ("hashed", "hashed-1", 64)
    assert np.array(row["matmon"]["means"]).shape == (2, 1, 64)
    assert not {"folder", "files", "sizes", "source"} & set(row["matmon"])


@pytest.mark.parametrize(
    "body", [{}, [], "text", {"input": []}, {"input": [1, 2]}, {"input": [[1, 2]]}, {"input": None}, {"inputs": ["a"]}]
)
def test_what_holds_no_texts_is_422_and_loads_nothing(body: object) -> None:
    lazy = LazyEncoder(Words, "hashed")
    client = create_embeddings_app(lazy).test_client()
    answer = client.post("/v1/embeddings", json=body)
    assert (answer.status_code, answer.get_json()["error"]["type"]) == (422, "invalid_request_error")
    assert "'input' must be a text or a list of texts" in answer.get_json()["error"]["message"]
    assert client.post("/embed", data="no json").status_code == 422
    assert lazy.state == "idle"


def test_too_many_texts_and_too_large_a_body_are_413() -> None:
    client = client_of()
    assert client.post("/embed", json={"inputs": ["a"] * MOST_TEXTS}).status_code == 200
    many = client.post("/embed", json={"inputs": ["a"] * (MOST_TEXTS + 1)})
    assert (many.status_code, many.get_json()["error"]["message"]) == (413, "257 texts: at most 256 at once")
    large = client.post("/v1/embeddings", json={"input": "a" * MOST_BODY_BYTES})
    assert (large.status_code, large.get_json()["error"]["code"]) == (413, 413)


def test_a_text_of_megabytes_is_cut_before_anything_is_done_with_it() -> None:
    class Seen(Words):
        lengths: list[int] = []  # noqa: RUF012

        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            self.lengths.extend(map(len, texts))
            return super().encode_texts(texts)

    assert client_of(Seen).post("/embed", json={"inputs": "word " * 400_000}).status_code == 200
    assert Seen.lengths == [8_192]


def test_without_the_key_nothing_but_the_health_is_told() -> None:
    client = client_of(key="a-key-of-the-tests")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer א"}):
        for answer in (
            client.post("/v1/embeddings", json={"input": "a"}, headers=headers),
            client.post("/embed", json={"inputs": "a"}, headers=headers),
            client.get("/v1/models", headers=headers),
            client.get("/nowhere", headers=headers),
        ):
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, 401)
    right = {"Authorization": "Bearer a-key-of-the-tests"}
    assert client.post("/v1/embeddings", json={"input": "a"}, headers=right).status_code == 200
    assert client.get("/health").get_json() == {"model": "hashed", "state": "ready", "status": "ok"}


def test_another_model_is_404_and_not_answered_with_this_one() -> None:
    answer = client_of().post("/v1/embeddings", json={"input": "a", "model": "alephbert"})
    assert answer.status_code == 404
    assert "no model alephbert here, but hashed" in answer.get_json()["error"]["message"]


def test_a_busy_model_is_429_and_one_that_cannot_be_loaded_503_both_with_a_time_to_come_again() -> None:
    class Busy(Words):
        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            raise EncoderBusy(f"the model was busy for {len(texts)} s")

    class Broken(Words):
        def __init__(self) -> None:
            raise ModelUnusable("a file is damaged")

    for load, status, said in ((Busy, 429, "busy for 1 s"), (Broken, 503, "a file is damaged")):
        answer = client_of(load).post("/v1/embeddings", json={"input": "a"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (status, "2")
        assert said in answer.get_json()["error"]["message"]


def test_any_fault_is_answered_as_json() -> None:
    class Faulty(Words):
        def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
            raise ZeroDivisionError(len(texts))

    client = client_of(Faulty)
    answer = client.post("/embed", json={"inputs": "a"})
    assert (answer.status_code, answer.get_json()["error"]["type"]) == (500, "server_error")
    assert client.get("/nowhere").get_json()["error"]["code"] == 404
    assert client.get("/embed").get_json()["error"]["code"] == 405


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "models.internal"])  # noqa: S104
def test_a_host_open_to_others_without_a_key_is_refused(tmp_path: Path, host: str) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/x.db", tmp_path, semantic_model="e5-small")
    ended = run(settings, "serve-embeddings", "--host", host)
    assert (ended.returncode, f"--host {host} lets everyone in: set EMBEDDINGS_API_KEY first" in ended.stderr) == (
        2,
        True,
    )


@pytest.mark.parametrize("model", ["none"])
def test_where_there_is_no_model_there_is_nothing_to_serve(tmp_path: Path, model: str) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/x.db", tmp_path, semantic_model=model)
    ended = run(settings, "serve-embeddings")
    assert (ended.returncode, "set SEMANTIC_MODEL to a prepared one" in ended.stderr) == (2, True)


# --- the command, with the real model ---


@pytest.mark.model
def test_a_model_host_answers_many_at_once_with_the_models_own_embeddings(tmp_path: Path, e5_folder: Path) -> None:
    texts = ["query: שלום עולם", "passage: Good bread is baked at night.", "query: אֵיךְ חוסכים מים"]
    here = OnnxEncoder(e5_folder).encode_texts(texts)
    with model_host(tmp_path, SEMANTIC_MODEL="e5-small", MODELS_DIR=str(e5_folder.parent)) as host:
        assert host.state() == "idle"
        with ThreadPoolExecutor(20) as clients:
            found = list(clients.map(lambda _: host.post("/v1/embeddings", {"input": texts}), range(60)))
        assert {status for status, _ in found} == {200}
        for _, answer in found:
            rows = np.array([row["embedding"] for row in answer["data"]])
            assert ((rows * here).sum(axis=1) > 0.9999).all()
        held = [process_memory(one.pid) for one in host.family()]
        # Measured, both processes: 71 MB at rest, 124 with the model, 157 after long passages of four clients.
        assert sum(one.pss for one in held if one) / MB < 200
        assert host.log.count("Loading e5-small model") == 1


@pytest.mark.model
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_model_host_ends_cleanly(tmp_path: Path, e5_folder: Path, how: signal.Signals) -> None:
    with model_host(tmp_path, SEMANTIC_MODEL="e5-small", MODELS_DIR=str(e5_folder.parent)) as host:
        assert host.post("/embed", {"inputs": "query: שלום"})[0] == 200
        family = host.family()
        assert host.stop(how) == 0
        assert not any(one.is_running() for one in family)
        assert "Traceback" not in host.log


@pytest.mark.model
def test_a_model_host_gives_an_idle_model_back_and_loads_it_again(tmp_path: Path, e5_folder: Path) -> None:
    settings = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(e5_folder.parent), "MODEL_IDLE_SECONDS": "1"}
    with model_host(tmp_path, "--host", "127.0.0.1", EMBEDDINGS_API_KEY="a-key", **settings) as host:
        right = {"Authorization": "Bearer a-key"}
        assert host.post("/embed", {"inputs": "query: שלום"})[0] == 401
        assert host.state() == "idle"
        assert host.post("/embed", {"inputs": "query: שלום"}, **right)[0] == 200
        until(lambda: host.state() == "idle", "the model is given back")
        assert host.post("/embed", {"inputs": "query: שלום"}, **right)[0] == 200
        assert host.log.count("Loading e5-small model") == 2


@pytest.mark.model
def test_the_manifest_that_is_told_is_the_one_that_is_read(e5_folder: Path) -> None:
    """What is told has the names of the manifest: one that is renamed there would be missed by the other host."""
    told = client_of().get("/v1/models").get_json()["data"][0]["matmon"]
    known = set(json.loads((e5_folder / "manifest.json").read_text(encoding="utf-8")))
    assert known - set(told) <= {"source", "files", "sizes", "letters_per_token", "passage_batch_size"}
