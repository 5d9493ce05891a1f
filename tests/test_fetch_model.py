"""Fetching a prepared model, from a real HTTP server, with the script as an operator runs it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from encoders.preparing.archive import write_archive
from encoders.preparing.folder import write_manifest
from tests.files_server import Files, serving
from tests.model_fixtures import ROOT

VALUES = {
    "name": "mine", "revision": "1", "dim": 2, "max_tokens": 8, "score_low": 0.1, "score_high": 0.9,
    "score_floor": 0.2, "tag_low": 0.3, "tag_high": 0.4,
}  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("source") / "mine"
    folder.mkdir()
    (folder / "words.npy").write_bytes(os.urandom(3_000_000))
    (folder / "model.onnx").write_bytes(b"graph")
    write_manifest(folder, VALUES)
    path, checksum = write_archive(folder)
    assert checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    return path.read_bytes()


def fetch(models: Path, url: str, content: bytes, **environ: str) -> subprocess.CompletedProcess[str]:
    wanted = {
        "MODEL_ARCHIVE_URL": url, "MODEL_ARCHIVE_SHA256": hashlib.sha256(content).hexdigest(),
        "SEMANTIC_MODEL": "mine", "MODELS_DIR": str(models),
    }  # fmt: skip
    command = [sys.executable, "-I", "-S", str(ROOT / "scripts" / "fetch_model.py")]  # no package can be reached
    return subprocess.run(
        command, env=os.environ | wanted | environ, capture_output=True, text=True, check=False, timeout=60
    )


def refused(models: Path, content: bytes, **environ: str) -> str:
    """Return the one sentence with which an archive is refused; nothing may be left of it."""
    with serving(Files({"/mine": content})) as files:
        done = fetch(models, f"{files.url}/mine", content, **environ)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert not (models / "mine").exists()
    return done.stderr


def tarred(*members: tuple[str, bytes], link: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as packed:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("mine/words.npy")
            member.type, member.linkname = tarfile.SYMTYPE, link
            packed.addfile(member)
    return made.getvalue()


def zipped(archive: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, zipfile.ZipFile(made, "w") as target:
        for member in source:
            file = source.extractfile(member)
            assert file
            target.writestr(member.name, file.read())
    return made.getvalue()


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_model_is_fetched_whole_and_only_once(tmp_path: Path, archive: bytes, kind: str) -> None:
    content = archive if kind == "tar.gz" else zipped(archive)
    with serving(Files({"/a": content})) as files:
        done = fetch(tmp_path / "models", f"{files.url}/a", content)
        again = fetch(tmp_path / "models", f"{files.url}/a", content)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fetched" in done.stdout
    assert "complete: nothing to do" in again.stdout
    assert len(files.asked) == 1
    assert sorted(path.name for path in (tmp_path / "models" / "mine").iterdir()) == [
        "manifest.json", "model.onnx", "words.npy",
    ]  # fmt: skip
    assert not list((tmp_path / "models").glob("*.part"))


def test_what_broke_off_goes_on_where_it_was(tmp_path: Path, archive: bytes) -> None:
    with serving(Files({"/a": archive}, breaks={"/a": [1_000_000, 700_000]})) as files:
        done = fetch(tmp_path, f"{files.url}/a", archive)
    assert done.returncode == 0, done.stderr
    assert [asked for _, _, asked in files.asked] == ["", "bytes=1000000-", "bytes=1700000-"]


def test_a_server_without_ranges_is_asked_for_all_of_it_again(tmp_path: Path, archive: bytes) -> None:
    with serving(Files({"/a": archive}, breaks={"/a": [1_000_000]}, ranges=False)) as files:
        done = fetch(tmp_path, f"{files.url}/a", archive)
    assert done.returncode == 0, done.stderr


def test_another_checksum_is_refused_and_the_old_folder_stays(tmp_path: Path, archive: bytes) -> None:
    with serving(Files({"/a": archive, "/b": archive[:-1] + b"x"})) as files:
        assert fetch(tmp_path, f"{files.url}/a", archive).returncode == 0
        changed = fetch(tmp_path, f"{files.url}/b", archive, MODEL_ARCHIVE_SHA256="0" * 64)
    assert changed.returncode == 1
    assert "has the sha256" in changed.stderr
    assert "it was deleted" in changed.stderr
    assert (tmp_path / "mine" / "manifest.json").is_file()
    assert not list(tmp_path.glob(".*.part"))


def test_a_new_checksum_fetches_the_new_model(tmp_path: Path, archive: bytes) -> None:
    other = zipped(archive)
    with serving(Files({"/a": archive, "/b": other})) as files:
        assert fetch(tmp_path, f"{files.url}/a", archive).returncode == 0
        done = fetch(tmp_path, f"{files.url}/b", other)
    assert "fetched" in done.stdout, done.stderr


def test_a_damaged_folder_is_fetched_anew(tmp_path: Path, archive: bytes) -> None:
    with serving(Files({"/a": archive})) as files:
        assert fetch(tmp_path, f"{files.url}/a", archive).returncode == 0
        (tmp_path / "mine" / "model.onnx").write_bytes(b"other")
        done = fetch(tmp_path, f"{files.url}/a", archive)
    assert "fetched" in done.stdout, done.stderr


def test_a_folder_that_is_here_needs_no_address(tmp_path: Path, archive: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(tmp_path, filter="data")
    done = fetch(tmp_path, "", b"")
    assert (done.returncode, "nothing to do" in done.stdout) == (0, True)


@pytest.mark.parametrize("model", ["none", "remote"])
def test_a_site_without_a_model_of_its_own_fetches_nothing(tmp_path: Path, model: str) -> None:
    done = fetch(tmp_path, "", b"", SEMANTIC_MODEL=model)
    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ("../outside", "is not a file of one folder"),
        ("/etc/outside", "is not a file of one folder"),
        ("mine/../../outside", "is not a file of one folder"),
        ("mine/deep/outside", "is not a file of one folder"),
        ("mine\\outside", "is not a file of one folder"),
        ("mine/manifest.json", "is incomplete"),
    ],
)
def test_a_place_outside_the_folder_is_never_written(tmp_path: Path, member: str, says: str) -> None:
    assert says in refused(tmp_path / "models", tarred((member, b"{}")))
    assert not list(tmp_path.rglob("outside"))


def test_links_are_not_unpacked(tmp_path: Path) -> None:
    assert "not a plain file" in refused(tmp_path, tarred(link="/etc/passwd"))


def test_too_many_files_are_not_unpacked(tmp_path: Path) -> None:
    assert "more than 64 files" in refused(tmp_path, tarred(*((f"mine/{n}", b"") for n in range(65))))


@pytest.mark.parametrize("content", [b"no archive", b"\x1f\x8b\x08\0 half a stream"])
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    assert "cannot be unpacked" in refused(tmp_path, content)


def test_another_model_in_the_archive_is_told(tmp_path: Path, archive: bytes) -> None:
    assert "holds the model mine: set SEMANTIC_MODEL=mine" in refused(tmp_path, archive, SEMANTIC_MODEL="other")


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"MODEL_ARCHIVE_URL": ""}, "MODEL_ARCHIVE_URL is not set"),
        ({"MODEL_ARCHIVE_URL": "file:///etc/passwd"}, "must begin with https://"),
        ({"MODEL_ARCHIVE_SHA256": "12"}, "MODEL_ARCHIVE_SHA256 must be the 64 digits"),
        ({"SEMANTIC_MODEL": "../x"}, "SEMANTIC_MODEL="),
        ({"MODEL_ARCHIVE_URL": "http://127.0.0.1:9/a?key=secret"}, "cannot be fetched from http://127.0.0.1/a ("),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    done = fetch(tmp_path, "http://127.0.0.1:9/a", b"", **environ)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert says in done.stderr
    assert "secret" not in done.stderr


def test_a_wrong_address_is_told_at_once(tmp_path: Path) -> None:
    with serving(Files({})) as files:
        done = fetch(tmp_path, f"{files.url}/none", b"")
    assert "Not Found" in done.stderr
    assert len(files.asked) == 1


def test_an_archive_is_the_same_bytes_each_time_and_only_of_a_whole_folder(tmp_path: Path, archive: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(tmp_path, filter="data")
    path, checksum = write_archive(tmp_path / "mine")
    assert checksum == hashlib.sha256(archive).hexdigest()
    assert path.name == "mine.tar.gz"
    names = json.loads((tmp_path / "mine" / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert set(names) == {"model.onnx", "words.npy"}
