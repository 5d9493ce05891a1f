"""What is wrong with a model folder is said when it is loaded, in one sentence that says what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encoders.manifest import ModelUnusable, file_checksum, read_manifest
from encoders.onnx_encoder import OnnxEncoder
from tests.model_fixtures import ROOT

pytestmark = pytest.mark.model

REMEDY = r"; make it with: python scripts/prepare_model\.py mine"


@pytest.fixture
def folder(prepared: Callable[[str], Path], tmp_path: Path) -> Path:
    return shutil.copytree(prepared("bert-mean"), tmp_path / "mine")


def changed(folder: Path, **values: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


FILES = ("weights.bin", "words.npy", "scales.npy", "pieces.npy", "characters.npy", "wordpiece.json", "model.onnx")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelUnusable, match=f"{name} is missing or not .* bytes long{REMEDY}"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(folder: Path, name: str) -> None:
    os.truncate(folder / name, (folder / name).stat().st_size // 2)
    with pytest.raises(ModelUnusable, match=f"{name} is missing or not .* bytes long{REMEDY}"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_of_the_same_size_is_refused(folder: Path, name: str) -> None:
    with (folder / name).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x07")
    with pytest.raises(ModelUnusable, match=f"{name} is damaged{REMEDY}"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("values", [{"format": 2}, {"tokenizer": "of-tomorrow"}, {"words": "2-bit"}])
def test_a_manifest_of_a_later_version_is_refused(folder: Path, values: dict[str, Any]) -> None:
    changed(folder, **values)
    with pytest.raises(ModelUnusable, match=f"was prepared for another version of Matmon.*{REMEDY}"):
        OnnxEncoder(folder)


def test_a_graph_that_onnxruntime_refuses_is_told(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no graph")
    manifest = read_manifest_values(folder)
    manifest["sizes"]["model.onnx"] = 8
    manifest["files"]["model.onnx"] = file_checksum(folder / "model.onnx")
    changed(folder, **manifest)
    with pytest.raises(ModelUnusable, match=rf"model\.onnx is refused by onnxruntime \(.*\){REMEDY}") as refused:
        OnnxEncoder(folder)
    assert "\n" not in str(refused.value)


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("no folder", encoding="utf-8")
    with pytest.raises(ModelUnusable, match=f"manifest.json cannot be read .*{REMEDY}"):
        OnnxEncoder(tmp_path / "mine")


AS_NOBODY = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from encoders.manifest import ModelUnusable, read_manifest
os.setgid(65534), os.setuid(65534)
try:
    read_manifest(Path({folder!r}), checksums=True)
except ModelUnusable as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("what", ["", "manifest.json", "words.npy"])
def test_what_another_user_may_not_read_is_told(folder: Path, what: str) -> None:
    for parent in folder.parents[:-1]:
        if parent.stat().st_uid == os.getuid() and parent.is_relative_to(folder.parents[2]):
            parent.chmod(0o755)
    (folder / what).chmod(0)
    script = AS_NOBODY.format(root=str(ROOT), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "may not be read by this user; open it with: chmod -R a+rX" in done.stdout
    assert done.stdout.count("\n") == 1


def test_a_whole_folder_is_served_with_every_field_of_an_older_manifest_left_out(folder: Path) -> None:
    """The first folders had no tokenizer, words, width and marks in their manifest: those are e5-small's."""
    values = read_manifest_values(folder)
    for name in ("tokenizer", "words", "width", "start_token", "end_token"):
        del values[name]
    (folder / "manifest.json").write_text(json.dumps(values), encoding="utf-8")
    manifest = read_manifest(folder)
    assert (manifest.tokenizer, manifest.words, manifest.start_token, manifest.end_token) == ("unigram", "4-bit", 0, 2)


def read_manifest_values(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return values
