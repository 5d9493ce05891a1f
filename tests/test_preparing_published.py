from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encoders.manifest import load_means, read_manifest
from encoders.onnx_encoder import OnnxEncoder
from encoders.preparing.folder import NotPrepared, make_folder
from tests.model_fixtures import PREPARING, ROOT, prepare

pytestmark = pytest.mark.model

TEXTS = ["זכויות עובדים", "עוגת גבינה", "interest rates", "זכויות עובדים"]
CUT_OFFS = ("score_low", "score_high", "score_floor", "centred_floor", "strict_floor", "tag_low", "tag_high")


@pytest.mark.parametrize(
    ("kind", "tokenizer", "pooling", "dim"),
    [
        ("bert-mean", "wordpiece", "mean", 64),
        ("roberta-cls", "byte-pairs", "cls", 64),
        ("xlm-roberta-dense", "unigram", "mean", 48),
    ],
)
def test_each_family_and_pooling_is_prepared_and_served(
    prepared: Callable[[str], Path], kind: str, tokenizer: str, pooling: str, dim: int
) -> None:
    folder = prepared(kind)
    encoder = OnnxEncoder(folder)
    manifest = encoder.manifest
    assert (manifest.tokenizer, manifest.pooling, manifest.dim, manifest.words) == (tokenizer, pooling, dim, "int8")
    embeddings = encoder.encode_passages(TEXTS)
    assert (embeddings.shape, embeddings.dtype) == ((4, dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embeddings[0], encoder.encode_passages(TEXTS[:1])[0], atol=1e-5)
    assert np.isfinite(encoder.encode_queries(["", " ", "\0", "\ud800", "😀", "\u200f"])).all()


def test_what_the_command_prints_tells_how_near_the_original_it_is(prepared: Callable[[str], Path]) -> None:
    folder = prepared("bert-mean")
    printed = folder.with_name("bert-mean.printed").read_text(encoding="utf-8")
    lines = dict(line.split("  ", 1) for line in printed.splitlines() if "  " in line)
    cosine = float(lines["cosine with the original"].split()[1].rstrip(","))
    assert 0.999 <= cosine <= 1.0001
    assert "192 of 192" in lines["same tokens"]
    assert {"on disk", "memory of the model", "loads in"} <= set(lines)


def test_cut_offs_of_a_model_without_sense_are_numbers_in_order(prepared: Callable[[str], Path]) -> None:
    manifest = read_manifest(prepared("bert-mean"), checksums=True)
    assert all(np.isfinite(getattr(manifest, name)) for name in CUT_OFFS)
    assert manifest.score_low < manifest.score_high
    assert manifest.tag_low < manifest.tag_high
    means = load_means(manifest)
    assert means.shape[0] == 2
    assert np.isfinite(means).all()


def test_prompts_of_a_model_are_the_prefixes(prepared: Callable[[str], Path]) -> None:
    manifest = read_manifest(prepared("xlm-roberta-dense"))
    assert (manifest.query_prefix, manifest.passage_prefix) == ("query: ", "passage: ")
    assert manifest.width == 64


def test_a_folder_made_of_the_same_source_is_left_alone(prepared: Callable[[str], Path], tiny_models: Path) -> None:
    folder = prepared("bert-mean")
    before = (folder / "manifest.json").stat().st_mtime_ns
    again = prepare(str(tiny_models / "bert-mean"), "--models-dir", str(folder.parent), python=PREPARING)
    assert (again.returncode, "complete" in again.stdout, again.stderr) == (0, True, "")
    assert (folder / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("max-pooling", "pools by max: only the mean of the tokens or the first one"),
        ("albert", "of the family albert: only bert, roberta, xlm-roberta are supported"),
        ("distilbert", "of the family distilbert: only bert"),
        ("relative", "relative_key positions: only absolute ones are supported"),
        ("with-lstm", "made of Transformer, Pooling, LSTM: only"),
        ("no-sentence-model", "is not a sentence-transformers model"),
        ("truncated", "its files are damaged or incomplete"),
    ],
)
def test_a_model_that_cannot_be_served_is_refused_with_the_reason(
    tiny_models: Path, tmp_path: Path, kind: str, reason: str
) -> None:
    refused = prepare(str(tiny_models / kind), "--models-dir", str(tmp_path / "models"), python=PREPARING)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1, refused.stderr
    assert reason in refused.stderr
    assert not (tmp_path / "models").exists() or list((tmp_path / "models").iterdir()) == []


def test_a_kill_half_way_leaves_the_old_folder_and_what_it_left_is_swept(
    prepared: Callable[[str], Path], tiny_models: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(prepared("bert-mean"), tmp_path / "bert-mean")
    before = read_manifest(folder).checksum
    command = [str(PREPARING), "scripts/prepare_model.py", str(tiny_models / "bert-mean")]
    command += ["--models-dir", str(folder.parent), "--texts", str(_texts(folder.parent / "texts.txt"))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout
        assert any("exporting" in line for line in running.stdout)
        os.kill(running.pid, signal.SIGKILL)
    assert read_manifest(folder, checksums=True).checksum == before
    left = list(folder.parent.glob(".bert-mean-of-*"))
    assert len(left) == 1
    with pytest.raises(NotPrepared, match="stopped"):
        make_folder(folder, 1, _stop)
    assert list(folder.parent.glob(".bert-mean-of-*")) == []
    assert read_manifest(folder, checksums=True).checksum == before


def test_an_unreachable_hub_is_told_in_seconds(preparing: Path, tmp_path: Path) -> None:
    failed = prepare(
        "alephbert", "--models-dir", str(tmp_path / "models"), python=preparing,
        HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path / "cache"),
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "imvladikon/sentence-transformers-alephbert cannot be fetched from the hub" in failed.stderr
    assert not (tmp_path / "models").exists()


def test_texts_that_measure_nothing_are_refused(preparing: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text(json.dumps({"title": "אחת", "body": "שתיים"}, ensure_ascii=False) + "\n", encoding="utf-8")
    refused = prepare("some/model", "--texts", str(few), "--models-dir", str(tmp_path), python=preparing)
    assert refused.returncode == 1
    assert "measuring takes 30" in refused.stderr


def test_what_is_missing_says_how_to_install_it(tmp_path: Path) -> None:
    missing = prepare("alephbert", "--models-dir", str(tmp_path))
    assert missing.returncode == 1
    assert "make model MODEL=alephbert" in missing.stderr
    assert missing.stderr.count("\n") == 1


def _texts(path: Path) -> Path:
    lines = (f"שאלה מספר {number} על עניין אחר? ותשובה ארוכה מספיק לשאלה מספר {number}." for number in range(40))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _stop(folder: Path) -> None:
    raise NotPrepared("stopped")
