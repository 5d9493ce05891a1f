"""A model folder damaged under a running server: words are found, what mends it is said, no restart is needed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import Server, serving
from tests.waiting import until

pytestmark = pytest.mark.model

REMAKE = r"make it with: python scripts/prepare_model\.py e5-small"
# As root the tests may read everything: without these two powers their server may not.
AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")


@pytest.fixture
def model(e5_folder: Path, tmp_path: Path) -> Path:
    """A model folder of the test's own."""
    folder = tmp_path / "models" / e5_folder.name
    folder.mkdir(parents=True)
    for path in e5_folder.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


def own(path: Path) -> Path:
    """Put a copy in the place of a link, and return it."""
    source = path.resolve()
    path.unlink()
    shutil.copy(source, path)
    return path


def lose_a_file(folder: Path) -> None:
    (folder / "words.npy").unlink()


def cut_a_file(folder: Path) -> None:
    path = own(folder / "pieces.npy")
    os.truncate(path, path.stat().st_size // 2)


def change_one_weight(folder: Path) -> None:
    with own(folder / "weights.bin").open("r+b") as file:
        file.seek(1_000_000)
        (before,) = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([before ^ 1]))


def make_it_of_tomorrow(folder: Path) -> None:
    path = own(folder / "manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"format": 2}), encoding="utf-8")


def lock(folder: Path) -> None:
    folder.chmod(0)


def lose_it(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a file is missing": (lose_a_file, rf"words\.npy is missing or not \d+ bytes long; {REMAKE}"),
    "a file is cut": (cut_a_file, rf"pieces\.npy is missing or not \d+ bytes long; {REMAKE}"),
    "a weight is changed": (change_one_weight, rf"weights\.bin is damaged; {REMAKE}"),
    "of a later version": (make_it_of_tomorrow, rf"was prepared for another version of Matmon; {REMAKE}"),
    "nobody may read it": (lock, r"may not be read by this user; open it with: chmod -R a\+rX "),
    "it is gone": (lose_it, rf"e5-small is not there; {REMAKE}"),
}


def mend(folder: Path, source: Path) -> None:
    if folder.exists():
        folder.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).symlink_to(path)


def powers() -> list[str]:
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root reads everything, and there is no setpriv to take that away")
    return list(AS_OTHERS)


def has_meaning(server: Server) -> bool:
    return bool(server.search("נדודי שינה", "semantic")["semantic"]["state"] == "ready")


def says_what_happened(server: Server, said: str) -> None:
    for mode in ("text", "hybrid", "semantic"):
        assert server.search("מים", mode)["hits"]
    assert "only keyword results are shown" in server.get("/semantic", q="מים", lang="en")[1]
    assert re.search(said, server.log)
    assert re.search(said, server.get("/status", lang="en")[1])
    assert re.search(said, server.ask("/api/monitoring/health").json["model"]["error"])


@pytest.mark.parametrize("damage", DAMAGES)
def test_words_are_found_and_once_it_is_mended_meaning_too(
    site_folder: Path, model: Path, e5_folder: Path, damage: str
) -> None:
    harm, said = DAMAGES[damage]
    settings = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(model.parent), "MODEL_RETRY_SECONDS": "1"}
    with serving(site_folder, powers() if harm is lock else (), **settings) as server:
        harm(model)
        until(lambda: server.search("מים", "semantic")["semantic"]["state"] == "unavailable", "the refusal")
        says_what_happened(server, said)
        mend(model, e5_folder)
        until(lambda: has_meaning(server), "the mended model")
        assert server.health()["documents_with_embeddings"] > 0


def test_one_that_is_made_after_the_start_needs_no_restart(site_folder: Path, model: Path, e5_folder: Path) -> None:
    lose_it(model)
    settings = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(model.parent), "MODEL_RETRY_SECONDS": "1"}
    with serving(site_folder, **settings) as server:
        until(lambda: server.search("מים", "semantic")["semantic"]["state"] == "unavailable", "the refusal")
        says_what_happened(server, DAMAGES["it is gone"][1])
        mend(model, e5_folder)
        until(lambda: has_meaning(server), "the model")
        assert server.search("נדודי שינה", "semantic")["hits"][0]["why"]["semantic"]
        assert server.health()["documents_with_embeddings"] > 0


def overwrite_in_place(folder: Path) -> None:
    with (folder / "words.npy").open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(2**20))


def cut_in_place(folder: Path) -> None:
    os.truncate(folder / "words.npy", 8_192)


def nothing_but_numbers(folder: Path) -> None:
    (folder / "words.npy").write_bytes(b"\xff" * (folder / "words.npy").stat().st_size)


@pytest.mark.parametrize("harm", [overwrite_in_place, cut_in_place, nothing_but_numbers])
@pytest.mark.parametrize("is_searched", [True, False])
def test_one_damaged_while_it_serves_is_unloaded_and_said(
    site_folder: Path, e5_folder: Path, tmp_path: Path, harm: Callable[[Path], None], is_searched: bool
) -> None:
    folder = shutil.copytree(e5_folder, tmp_path / "models" / "e5-small")
    settings = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(folder.parent), "MODEL_RETRY_SECONDS": "1"}
    with serving(site_folder, **settings) as server:
        until(lambda: has_meaning(server), "the model")
        assert server.health()["status"] == "ok"
        harm(folder)
        if is_searched:
            assert server.search("מים קרים", "hybrid")["hits"]
        health = until(lambda: (found := server.health())["status"] == "degraded" and found, "the damage")
        assert "words.npy" in health["advice"][0]
        assert re.search(REMAKE, health["advice"][0])
        until(lambda: server.search("מים חמים", "semantic")["semantic"]["state"] == "unavailable", "the refusal")
        assert server.search("מים", "text")["hits"]
        shutil.copy(e5_folder / "words.npy", folder / "words.npy")
        until(lambda: has_meaning(server), "the mended model")
        assert server.health()["status"] == "ok"


def test_files_of_a_loaded_model_may_be_replaced(site_folder: Path, e5_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(e5_folder, tmp_path / "models" / "e5-small")
    settings = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(folder.parent)}
    with serving(site_folder, **settings) as server:
        until(lambda: has_meaning(server), "the model")
        for path in folder.iterdir():  # written again in place with the same content, then replaced, then deleted
            shutil.copy(e5_folder / path.name, path)
        assert server.search("מים קרים", "semantic")["hits"]
        for path in folder.iterdir():
            shutil.copy(path, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
        assert server.search("מים חמים", "semantic")["hits"]
        shutil.rmtree(folder)
        assert server.search("מים פושרים", "semantic")["hits"]
        assert server.health()["status"] == "ok"
