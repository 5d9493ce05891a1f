"""What is found out about another host's model: told by a Matmon, measured of others, kept for a start without it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from encoders.endpoint import Endpoint, HttpClient
from encoders.manifest import FORMAT, Manifest, ModelUnusable, load_means
from encoders.remote import RemoteEncoder, known_manifest, open_remote, source
from tests.endpoints import Endpoints, Reply, Told, as_json, endpoint, good, openai, rows_of
from tests.fakes import HashedWords
from web.embeddings_server import PUBLISHED

NONE = ("", "")
MEANS = np.full((2, 1, 64), 0.125, np.float32)


def to(served: Endpoints, model: str = "") -> Endpoint:
    return Endpoint(served.url, model, client=HttpClient(sleep=lambda _: None))


def matmon(manifest: Manifest, **changes: object) -> dict[str, object]:
    told = {name: value for name, value in asdict(manifest).items() if name in PUBLISHED} | {"means": MEANS.tolist()}
    return {"object": "list", "data": [{"id": manifest.name, "matmon": told | changes}]}


def as_matmon(told: Told) -> Reply:
    return as_json(matmon(HashedWords.manifest)) if told.path == "/v1/models" else good(told)


def test_the_model_of_a_matmon_is_the_same_model_wherever_it_runs(tmp_path: Path) -> None:
    with endpoint(as_matmon) as served:
        found = open_remote(to(served), tmp_path / "remote", NONE)
        assert found.encode_queries(["bread", "לחם"]).shape == (2, 64)
    told, own = found.manifest, HashedWords.manifest
    assert (told.name, told.checksum, told.dim, told.score_floor) == (own.name, own.checksum, own.dim, own.score_floor)
    assert np.array_equal(load_means(told), MEANS)
    assert told.folder == tmp_path / "remote"


def test_of_another_server_the_cosines_are_measured_once_and_kept(tmp_path: Path) -> None:
    with endpoint() as served:
        first = open_remote(to(served, "bag"), tmp_path, ("ask: ", "text: "))
        measured = len(served.texts)
        again = open_remote(to(served, "bag"), tmp_path, ("ask: ", "text: "))
        assert len(served.texts) == measured > 200
        assert any(text.startswith("ask: ") for text in served.texts)
        assert any(text.startswith("text: ") for text in served.texts)
    assert again.manifest == first.manifest
    assert first.manifest.name == "remote-bag"
    assert -1 <= first.manifest.score_low < first.manifest.score_high <= 2
    assert load_means(first.manifest).shape[::2] == (2, 64)


def test_a_start_while_the_endpoint_is_down_uses_what_is_kept(tmp_path: Path) -> None:
    with endpoint() as served:
        first = open_remote(to(served), tmp_path, NONE)
    assert open_remote(to(served), tmp_path, NONE).manifest == first.manifest
    assert known_manifest(tmp_path, source(served.url, "", NONE)) == first.manifest


def test_a_first_start_while_the_endpoint_is_down_says_where_to_look(tmp_path: Path) -> None:
    with endpoint() as served:
        pass
    with pytest.raises(ModelUnusable, match="no connection; look at EMBEDDINGS_URL"):
        open_remote(to(served), tmp_path, NONE)
    with (
        endpoint(lambda _: as_json({}, 401)) as served,
        pytest.raises(ModelUnusable, match="look at EMBEDDINGS_API_KEY"),
    ):
        open_remote(to(served), tmp_path, NONE)


def test_a_matmon_that_loads_its_model_is_not_measured_as_a_stranger(tmp_path: Path) -> None:
    def busy(told: Told) -> Reply:
        return as_json({"error": {"message": "loading"}}, 503) if told.path == "/v1/models" else good(told)

    with endpoint(busy) as served:
        with pytest.raises(ModelUnusable, match="answers 503"):
            open_remote(to(served), tmp_path, NONE)
        assert served.texts == []


def test_another_address_model_or_prefix_is_measured_anew(tmp_path: Path) -> None:
    with endpoint() as served:
        keys = set()
        for model, prefixes in (("a", NONE), ("b", NONE), ("", NONE), ("b", ("q: ", "p: "))):
            keys.add(open_remote(to(served, model), tmp_path, prefixes).manifest.checksum)
            before = len(served.texts)
            open_remote(to(served, model), tmp_path, prefixes)
            assert len(served.texts) == before
    assert len(keys) == 4


@pytest.mark.parametrize(
    "changes",
    [{"means": [[1.0]]}, {"means": "none"}, {"dim": 32}, {"format": FORMAT + 1}, {"means": [[[1.0] * 64]]}],
)
def test_a_matmon_of_another_version_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with (
        endpoint(lambda _: as_json(matmon(HashedWords.manifest, **changes))) as served,
        pytest.raises(ModelUnusable, match="another version; bring both hosts to the same one"),
    ):
        open_remote(to(served), tmp_path, NONE)


def test_a_matmon_that_does_not_serve_the_model_asked_for_is_refused(tmp_path: Path) -> None:
    with endpoint(as_matmon) as served, pytest.raises(ModelUnusable, match="serves hashed and not alephbert"):
        open_remote(to(served, "alephbert"), tmp_path, NONE)


def test_a_matmon_whose_model_was_exchanged_is_not_asked_on(tmp_path: Path) -> None:
    def exchanged(told: Told) -> Reply:
        if told.path == "/v1/models":
            return as_json(matmon(HashedWords.manifest))
        return openai(rows_of(told.body["input"]), checksum="another")

    with endpoint(exchanged) as served:
        found = open_remote(to(served), tmp_path, NONE)
        with pytest.raises(Exception, match="serves another model by now"):
            found.encode_queries(["bread"])


def test_what_is_listed_without_being_a_matmon_is_measured(tmp_path: Path) -> None:
    listed = as_json({"data": [{"id": "a"}, "b", {"id": "c", "matmons": 1}]})
    with endpoint(lambda told: listed if told.path == "/v1/models" else good(told)) as served:
        assert open_remote(to(served), tmp_path, NONE).manifest.name.startswith("remote-127.0.0.1")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with endpoint(as_matmon) as served, pytest.raises(ModelUnusable, match="set INSTANCE_DIR to a folder that can"):
        open_remote(to(served), tmp_path / "file" / "remote", NONE)


def test_a_kept_folder_that_is_damaged_is_not_used(tmp_path: Path) -> None:
    with endpoint() as served:
        open_remote(to(served), tmp_path, NONE)
        told_by = source(served.url, "", NONE)
        (tmp_path / "means.npy").write_bytes(b"half")
        assert known_manifest(tmp_path, told_by) is None
        open_remote(to(served), tmp_path, NONE)
        (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
        assert known_manifest(tmp_path, told_by) is None


def test_texts_are_sent_as_the_model_reads_them_without_points_and_not_longer_than_it_reads(tmp_path: Path) -> None:
    manifest = replace(HashedWords.manifest, query_prefix="query: ", passage_prefix="passage: ")
    with endpoint() as served:
        found = RemoteEncoder(to(served), manifest)
        found.encode_queries(["שְׁלוּלִית \n\t גדולה"])
        found.encode_tags(["tag"])
        found.encode_passages(["word " * 10_000])
        found.encode_texts([])
        texts = served.texts
    assert texts[:2] == ["query: שלולית גדולה", "query: tag"]
    assert 3_000 < len(texts[2]) < 5_000


def test_the_key_is_not_kept_on_the_disk(tmp_path: Path) -> None:
    with endpoint() as served:
        open_remote(Endpoint(served.url, "bag", "very-secret"), tmp_path, NONE)
    assert "very-secret" not in (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["name"] == "remote-bag"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "means.npy"]
