"""What a process that nobody asked for meaning has not imported: the model's runtime, and what only commands need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from config import ROOT
from tests.commands import environment
from tests.conftest import settings_for, sqlite_alone

# Serves what a reader without a wish for meaning sees, and prints what was imported on the way.
VISIT = """
import json, sys
from app import app
from runtime import runtime_of
client = app.test_client()
paths = ["/", "/text?q=bread", "/tags", "/status", "/health", "/api/search?mode=text&q=bread", "/api/tags", "/import"]
answers = [client.get(path).status_code for path in paths]
print(json.dumps({"answers": answers, "state": runtime_of(app).semantic.lazy.state,
                  "modules": sorted(sys.modules)}))
"""
MODEL = ("onnxruntime", "encoders.onnx_encoder", "encoders.tokenizers", "onnx", "tokenizers", "torch", "transformers")
REDIS = ("redis", "utils.redis_cache")
COMMANDS = ("alembic", "flask_migrate", "tqdm", "commands")


database = sqlite_alone


@pytest.mark.parametrize("model", ["e5-small", "none"])
def test_a_text_search_imports_no_model(database: str, tmp_path: Path, model: str) -> None:
    settings = settings_for(database, tmp_path, semantic_model=model)
    run = [sys.executable, "-W", "error", "-c", VISIT]
    ended = subprocess.run(run, cwd=ROOT, env=environment(settings), capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert found["answers"] == [200] * 8
    assert found["state"] == ("off" if model == "none" else "idle")
    assert [name for name in (*MODEL, *COMMANDS, *REDIS) if name in found["modules"]] == []
    assert "Loading" not in ended.stderr
