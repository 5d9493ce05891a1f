"""Which model serves: switched without a restart, refused while embeddings are missing, dropped when it is over."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import create_app
from commands.register import register
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest
from indexing.documents import write_documents
from indexing.embedding import embed
from indexing.stored_models import drop_model, missing_models, stored_models, switch
from models import Embedding, Model, TagEmbedding, db, document_number
from search.current_model import AvailableModel
from search.documents import similar
from search.query import of_mapping
from search.search import search
from search.semantic import Semantic, model_of
from tests.collections import HOUSE, ready_side
from tests.conftest import closed, settings_for
from tests.fakes import HashedWords


class Narrow(HashedWords):
    """The same words hashed to half as many places: another model, of another width."""

    name = "narrow"
    dim = 32
    manifest = Manifest(
        name="narrow", dim=32, max_tokens=512, score_low=0.0, score_high=1.0, score_floor=0.2, tag_low=0.3,
        tag_high=0.5, checksum="narrow-1",
    )  # fmt: skip

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        wide = super()._encode(texts)
        sums = wide[:, :32] + 2 * wide[:, 32:]
        narrow: np.ndarray = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return narrow


ENCODERS = {"hashed": HashedWords(), "narrow": Narrow()}


def found(name: str) -> AvailableModel:
    encoder = ENCODERS[name]
    return AvailableModel(name, lambda: encoder, encoder.manifest)


def side() -> Semantic:
    """Return a semantic side as a server has it, set to `hashed`."""
    first = found("hashed")
    return Semantic(LazyEncoder(first.load, "hashed"), first.key, find=found)


def asked(session: Session, semantic: Semantic, text: str = "good bread") -> tuple[str, str, list[str]]:
    results = search(session, of_mapping({"q": text}, "semantic"), semantic, wait_s=10)
    return results.semantic_state, results.semantic_model, [hit.id for hit in results.hits]


@pytest.fixture
def house(session: Session) -> Session:
    write_documents(session, "house", list(HOUSE))
    embed(session, ENCODERS["hashed"])
    return session


def test_a_running_server_sees_the_switch_at_its_next_search(house: Session) -> None:
    server, other = side(), side()
    assert asked(house, server)[:2] == ("ready", "hashed")
    assert missing_models(house, model_of(ENCODERS["narrow"])) == (5, 6)
    embed(house, ENCODERS["narrow"])
    assert asked(house, server)[:2] == ("ready", "hashed")
    switch(house, ENCODERS["narrow"].manifest)
    for one in (server, other):
        state, model, ids = asked(house, one)
        assert (state, model, ids[0]) == ("ready", "narrow", "bread")
    switch(house, ENCODERS["hashed"].manifest)
    assert asked(house, server)[1] == "hashed"


def test_dropping_deletes_the_embeddings_of_that_model_alone(house: Session) -> None:
    embed(house, ENCODERS["narrow"])
    before = house.execute(select(func.count()).select_from(Embedding)).scalar_one()
    deleted: list[int] = []
    drop_model(house, model_of(ENCODERS["narrow"]), deleted.append)
    assert sum(deleted) == before // 2 + 6
    assert [one.name for one in stored_models(house)] == ["hashed"]
    assert house.execute(select(func.count()).select_from(TagEmbedding)).scalar_one() == 6
    assert asked(house, side())[2][0] == "bread"


def test_embeddings_of_other_files_are_not_searched_until_they_are_made_anew(house: Session) -> None:
    stranger = HashedWords()
    stranger.manifest = replace(HashedWords.manifest, checksum="made-elsewhere")
    prepared = AvailableModel("hashed", lambda: stranger, stranger.manifest)
    server = Semantic(LazyEncoder(prepared.load, "hashed"), prepared.key, find=lambda _: prepared)
    state, _, ids = asked(house, server)
    assert state == "unavailable"
    assert ids[0] == "bread"  # by its words
    assert "flask --app app embed --model hashed" in (server.lazy.error or "")
    embed(house, stranger)
    assert asked(house, server)[0] == "ready"


def test_a_database_that_was_switched_to_other_files_refuses_this_folder(house: Session) -> None:
    stranger = replace(HashedWords.manifest, checksum="made-elsewhere")
    switch(house, stranger)
    server = side()
    assert asked(house, server)[0] == "unavailable"
    assert "flask --app app models switch hashed" in (server.lazy.error or "")
    switch(house, HashedWords.manifest)
    assert asked(house, server)[0] == "ready"


# --- the commands, with real folders ---


@pytest.fixture
def two(database: str, tmp_path: Path, e5_folder: Path) -> Iterator[Flask]:
    """The app over a small collection with two prepared models, e5-small and a second one with other checksums."""
    models = tmp_path / "models"
    for name in ("e5-small", "second"):
        shutil.copytree(e5_folder, models / name, copy_function=os.link)
    manifest = models / "second" / "manifest.json"
    values = json.loads(manifest.read_text(encoding="utf-8")) | {"name": "second", "checksum": "5" * 64}
    manifest.unlink()
    manifest.write_text(json.dumps(values), encoding="utf-8")
    app = create_app(settings_for(database, tmp_path, semantic_model="e5-small", models_dir=models))
    register(app)
    with app.app_context():
        write_documents(db.session(), "house", list(HOUSE))
    yield app
    closed(app)


def run(app: Flask, *arguments: str) -> Result:
    with app.app_context():
        return app.test_cli_runner().invoke(args=list(arguments))


def test_a_switch_is_refused_while_embeddings_are_missing_and_then_done(two: Flask) -> None:
    refused = run(two, "models", "switch", "second")
    assert refused.exit_code == 2
    assert "5 documents and 6 tags have no embedding under second yet" in refused.stderr
    assert "embed --model second" in refused.stderr
    assert run(two, "embed", "--model", "second").exit_code == 0
    assert run(two, "models", "switch", "second").exit_code == 0
    lines = run(two, "models").stdout.splitlines()
    assert any(line.startswith("* second  384 dimensions") for line in lines)
    assert lines[-1] == "Current: second (switched to)"


def test_the_current_model_is_not_dropped_and_another_is(two: Flask) -> None:
    for name in ("e5-small", "second"):
        assert run(two, "embed", "--model", name).exit_code == 0
    assert run(two, "models", "switch", "second").exit_code == 0
    refused = run(two, "models", "drop", "second")
    assert (refused.exit_code, "current model" in refused.stderr) == (2, True)
    assert "e5-small deleted" in run(two, "models", "drop", "e5-small").stdout
    with two.app_context():
        assert db.session.execute(select(Model.name)).scalars().all() == ["second"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("switch", "nowhere"), "nowhere is not there"),
        (("switch", "../e5-small"), "is not there"),
        (("drop", "nowhere"), "nowhere has no embeddings; there are embeddings of: none"),
    ],
)
def test_a_model_that_is_not_there_is_refused(two: Flask, arguments: tuple[str, str], said: str) -> None:
    ended = run(two, "models", *arguments)
    assert (ended.exit_code, said in ended.stderr) == (2, True), ended.stderr


def test_what_is_stored_is_compared_without_the_model(house: Session) -> None:
    first = found("hashed")
    never = Semantic(LazyEncoder(first.load, "hashed"), first.key, find=found, manifest=first.manifest)
    results = search(house, of_mapping({"tag": "דיור"}, "tags"), never)
    assert results.semantic_state == "ready"
    assert [hit.title for hit in similar(house, document_number("house", "rent"), never, 5)] == [
        hit.title for hit in similar(house, document_number("house", "rent"), ready_side(), 5)
    ]
    assert never.compares_stored
    assert never.lazy.state == "idle"
    search(house, of_mapping({"q": "קורת גג"}, "tags"), never)  # no tag: its meaning needs the model
    assert never.lazy.wait(10)
