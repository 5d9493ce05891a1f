"""The original of a prepared model in torch: a model of its own beside the prepared one; what lacks is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from app import create_app
from benchmarks.preparing import DATA, PLACE, prepared
from config import ROOT, Settings
from encoders.manifest import ModelUnusable, read_manifest
from encoders.torch_encoder import OriginalEncoder, original_manifest
from runtime import runtime_of
from search.semantic import Semantic
from tests.conftest import Started, closed, settings_for
from tests.servers import environment
from utils.int8 import centred

pytestmark = pytest.mark.model
TITLES = {"bread": "Baking bread at night", "rent": "A contract for a flat", "sleep": "Lying awake until two"}


@pytest.fixture(scope="module")
def minilm(preparing: Path) -> Path:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    return prepared(PLACE)[0]


@pytest.fixture
def instance(started: Started, tmp_path: Path) -> Iterator[Path]:
    """A folder whose database holds three documents."""
    with started.maker("sqlite").fresh(tmp_path) as url:
        assert url == f"sqlite:///{tmp_path}/matmon.db"
        rows = [{"id": name, "title": title, "body": title} for name, title in TITLES.items()]
        (tmp_path / "three.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        yield tmp_path


def flask(python: Path | str, instance: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    # The preparing environment has torch and not the site: it sees this one's packages beside its own.
    given = environment(instance, PYTHONPATH=sysconfig.get_path("purelib"), HF_HUB_OFFLINE="1", **settings)
    command = [str(python), "-m", "flask", "--app", "app", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=False)


def vectors(instance: Path, name: str) -> np.ndarray:
    """Return the stored embeddings of a model, in the order of documents and windows."""
    engine = create_engine(f"sqlite:///{instance}/matmon.db")
    rows = text(
        "SELECT e.vector FROM embedding e JOIN model m ON m.id = e.model_id WHERE m.name = :name"
        ' ORDER BY e.document_id, e."window"'
    )
    with engine.connect() as connection:
        stored = [bytes(row[0]) for row in connection.execute(rows, {"name": name})]
    engine.dispose()
    return centred(stored, 384)


def test_the_original_is_a_model_beside_the_prepared_one_and_means_the_same(
    preparing: Path, minilm: Path, instance: Path
) -> None:
    onnx = {"SEMANTIC_MODEL": "minilm", "MODELS_DIR": str(minilm.parent)}
    torch = onnx | {"SEMANTIC_RUNTIME": "sentence-transformers", "MEMORY_LIMIT_MB": "4096"}
    assert flask(sys.executable, instance, "import", str(instance / "three.jsonl"), **onnx).returncode == 0
    assert "3 embedded under minilm\n" in flask(sys.executable, instance, "embed", **onnx).stdout
    done = flask(preparing, instance, "embed", **torch)
    assert "3 embedded under minilm-original" in done.stdout, done.stderr
    one, other = vectors(instance, "minilm"), vectors(instance, "minilm-original")
    assert one.shape == other.shape == (6, 384)
    cosines = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert (cosines > 0.995).all()
    listed = flask(preparing, instance, "models", **torch).stdout
    assert "* minilm-original  384 dimensions  6 embeddings" in listed
    assert "  minilm  384 dimensions  6 embeddings" in listed
    found = flask(preparing, instance, "search", "insomnia", "--mode", "semantic", "--json", **torch)
    assert json.loads(found.stdout)["hits"][0]["id"] == "sleep", found.stderr
    assert flask(preparing, instance, "models", "switch", "minilm-original", **torch).returncode == 0
    elsewhere = flask(sys.executable, instance, "search", "bread", "--mode", "semantic", **onnx)
    assert "Only keywords were searched: the model minilm-original is unavailable" in elsewhere.stderr
    assert flask(sys.executable, instance, "models", "switch", "minilm", **onnx).returncode == 0
    assert "* minilm  384 dimensions" in flask(preparing, instance, "models", **torch).stdout


def in_torch(minilm: Path, folder: Path, **changes: str) -> Settings:
    own = {"semantic_model": "minilm", "models_dir": minilm.parent, "semantic_runtime": "sentence-transformers"}
    return settings_for(f"sqlite:///{folder}/matmon.db", folder, **own, **changes)


def test_where_torch_is_not_installed_the_site_says_what_to_install(minilm: Path, instance: Path) -> None:
    app = create_app(replace(in_torch(minilm, instance), memory_limit_mb=4096))
    side: Semantic = runtime_of(app).semantic
    assert not side.lazy.load(60)
    assert "pip install -r requirements-original.txt" in (side.lazy.error or "")
    answer = app.test_client().get("/api/search?q=bread")
    assert (answer.status_code, answer.get_json()["semantic"]["state"]) == (200, "unavailable")
    closed(app)


def test_on_a_small_host_it_is_refused_before_anything_is_imported(minilm: Path, instance: Path) -> None:
    app = create_app(replace(in_torch(minilm, instance), memory_limit_mb=512))
    side: Semantic = runtime_of(app).semantic
    assert not side.lazy.load(60)
    assert "the model needs about" in (side.lazy.error or "")
    closed(app)


def test_other_weights_are_another_model(minilm: Path) -> None:
    known = read_manifest(minilm)
    keys = {original_manifest(known, "minilm-original", given).checksum for given in ("", "owner/one", "owner/two")}
    assert len(keys | {known.checksum}) == 4


NO_WEIGHTS = """
import sys
from pathlib import Path
from encoders.manifest import ModelUnusable, read_manifest
from encoders.torch_encoder import OriginalEncoder
for weights in sys.argv[2:]:
    try:
        OriginalEncoder(read_manifest(Path(sys.argv[1])), weights)
    except ModelUnusable as error:
        print(error)
"""


def test_weights_that_cannot_be_had_are_told_with_the_setting(preparing: Path, minilm: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [str(preparing), "-c", NO_WEIGHTS, str(minilm), "/nowhere", str(tmp_path / "empty"), "owner/nothing"]
    given = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    assert "'/nowhere', no folder here and no hub id; set TORCH_MODEL" in lines[0]
    assert all("TORCH_MODEL" in line for line in lines)


def test_without_torch_the_encoder_itself_says_so(minilm: Path) -> None:
    with pytest.raises(ModelUnusable, match="is not installed here"):
        OriginalEncoder(read_manifest(minilm), "")
