"""The API keeps to its description whatever is sent: a bounded run of Schemathesis with all checks on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import create_app
from config import ROOT
from indexing.documents import write_documents
from models import db
from tests.collections import fill
from tests.conftest import Started, closed, settings_for
from tests.screened import JOBS, PEOPLE
from tests.servers import Server, serving
from tests.visits import TOKEN

EXAMPLES = 8  # of each operation; a longer run by hand finds more
LOGIN = f'\n[auth.openapi.token]\nbearer = "{TOKEN}"\n'


@contextmanager
def site(url: str, folder: Path) -> Iterator[Server]:
    app = create_app(settings_for(url, folder))
    with app.app_context():
        fill(db.session())
        for collection, documents in (("jobs", JOBS), ("profiles", PEOPLE)):
            write_documents(db.session(), collection, list(documents))
    closed(app)
    settings = {"ADMIN_TOKEN": TOKEN, "SECRET_KEY": TOKEN, "TRUSTED_PROXIES": "1", "RATE_LIMIT_CPU": "0"}
    with serving(folder, DATABASE_URL=url, **settings) as server:
        yield server


@pytest.mark.parametrize("who", ["anonymous", "admin"])
@pytest.mark.parametrize("kind", ["sqlite", "pgvector"])
def test_every_answer_is_as_described(started: Started, tmp_path: Path, kind: str, who: str) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text((ROOT / "schemathesis.toml").read_text(encoding="utf-8") + (LOGIN if who == "admin" else ""))
    tool = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    options = ["--max-examples", str(EXAMPLES), "--seed", "1", "--phases", "examples,coverage,fuzzing", "--no-color"]
    with started.maker(kind).fresh(tmp_path) as url, site(url, tmp_path) as server:
        address = f"http://127.0.0.1:{server.port}/api/openapi.json"
        environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [*tool, address, *options, "--continue-on-failure"],
            cwd=tmp_path, env=environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-20_000:]
        assert "Traceback" not in server.log
