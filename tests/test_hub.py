"""Fetching from a hub: a real server that speaks its protocol, and the real library against it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from encoders.manifest import read_manifest
from tests.files_server import Files, serving
from tests.model_fixtures import PREPARING, prepare

pytestmark = pytest.mark.model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ID = "someone/Tiny-Model"
WEIGHTS = "model.safetensors"


def hub(source: Path, lie: bool = False) -> Files:
    """Return a hub with one model; where it lies, the checksum that it names for the weights is not theirs."""
    files = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    served = {f"/{ID}/resolve/{COMMIT}/{name}": content for name, content in files.items()}
    info = {
        "id": ID, "sha": COMMIT, "cardData": {"license": "apache-2.0"},
        "siblings": [described(name, content, lie) for name, content in files.items()],
    }  # fmt: skip
    served[f"/api/models/{ID}"] = json.dumps(info).encode()

    def headers(path: str) -> Mapping[str, str]:
        return {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(served[path]).hexdigest()}"'}

    return Files(served, headers=headers)


def described(name: str, content: bytes, lie: bool) -> dict[str, object]:
    if not name.endswith(WEIGHTS):
        blob = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()  # noqa: S324 - as git names it
        return {"rfilename": name, "size": len(content), "blobId": blob}
    checksum = "0" * 64 if lie else hashlib.sha256(content).hexdigest()
    return {
        "rfilename": name,
        "size": len(content),
        "lfs": {"sha256": checksum, "size": len(content), "pointerSize": 1},
    }


def environ(files: Files, folder: Path) -> dict[str, str]:
    return {"HF_ENDPOINT": files.url, "HF_HOME": str(folder / "cache")}


def test_a_download_that_breaks_off_goes_on_where_it_was(tiny_models: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_models / "bert-mean", tmp_path / "source")
    (source / "more").mkdir()
    (source / "more" / WEIGHTS).write_bytes(bytes(24_000_000))
    files = hub(source)
    weights = f"/{ID}/resolve/{COMMIT}/more/{WEIGHTS}"
    files.breaks = {weights: [12_000_000]}
    with serving(files):
        command = (ID, "--models-dir", str(tmp_path / "models"))
        broken = prepare(*command, python=PREPARING, **environ(files, tmp_path))
        made = prepare(*command, python=PREPARING, **environ(files, tmp_path))
    assert (broken.returncode, broken.stderr.count("\n")) == (1, 1)
    assert "run this again" in broken.stderr
    assert made.returncode == 0, made.stderr
    ranges = [asked for command, path, asked in files.asked if (command, path) == ("GET", weights)]
    assert ranges[0] == ""
    assert ranges[1].startswith(f"bytes={10 * 2**20}-"), ranges  # what is kept is kept in pieces of 10 MB
    manifest = read_manifest(tmp_path / "models" / "tiny-model", checksums=True)
    assert (manifest.source, manifest.licence) == (ID, "apache-2.0")
    assert manifest.revision.endswith(COMMIT)


def test_weights_with_another_checksum_are_thrown_away_and_told(tiny_models: Path, tmp_path: Path) -> None:
    with serving(hub(tiny_models / "bert-mean", lie=True)) as files:
        refused = prepare(ID, "--models-dir", str(tmp_path / "models"), python=PREPARING, **environ(files, tmp_path))
    assert refused.returncode == 1
    assert f"{WEIGHTS} of {ID} came with another checksum" in refused.stderr
    assert "run this again" in refused.stderr
    assert list((tmp_path / "cache").rglob(WEIGHTS)) == []
    assert not (tmp_path / "models").exists()


def test_a_kind_that_is_not_served_costs_no_download_of_weights(tiny_models: Path, tmp_path: Path) -> None:
    with serving(hub(tiny_models / "albert")) as files:
        refused = prepare(ID, "--models-dir", str(tmp_path / "models"), python=PREPARING, **environ(files, tmp_path))
    assert f"{ID} is of the family albert" in refused.stderr
    assert not any(path.endswith(WEIGHTS) for _, path, _ in files.asked)


def test_a_model_that_the_hub_has_not_is_told(tiny_models: Path, tmp_path: Path) -> None:
    with serving(hub(tiny_models / "albert")) as files:
        refused = prepare("no/such", "--models-dir", str(tmp_path), python=PREPARING, **environ(files, tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "no/such" in refused.stderr
