"""The largest texts that are taken, by the real model under a hard limit: a document of 1 MB, a query, a tag."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from config import Settings
from indexing.embedding import MOST_WINDOWS
from indexing.parsing import MOST_TEXT_BYTES
from indexing.tag_cells import LONGEST_TAG
from tests import commands
from tests.conftest import Started, settings_for
from tests.shared import limited

pytestmark = pytest.mark.model

SENTENCE = "הדיירים רשאים לבקש מן הוועד פירוט של הוצאות הניקיון והגינון, והוועד ישיב בתוך שבועיים. "
LONG_TAG = "ת" * LONGEST_TAG
MOST_ANONYMOUS_MB = 150


@pytest.fixture
def settings(started: Started, e5_folder: Path, tmp_path: Path) -> Iterator[Settings]:
    with started.maker("sqlite").fresh(tmp_path) as url:
        yield settings_for(url, tmp_path, semantic_model=e5_folder.name, models_dir=e5_folder.parent)


def test_the_largest_document_tag_and_query_fit_into_200_mb(settings: Settings, tmp_path: Path) -> None:
    def run(*arguments: str | Path) -> str:
        report = tmp_path / "memory.json"
        ended = commands.run(settings, *arguments, under=limited(report, "200M"))
        used = json.loads(report.read_text(encoding="utf-8"))
        assert ended.returncode == 0, ended.stderr
        assert used["oom_kills"] == 0
        assert used["peak_anonymous_mb"] < MOST_ANONYMOUS_MB
        return ended.stdout

    row = {"id": "long", "title": "ספר הבית", "body": largest(), "tags": [LONG_TAG]}
    file = tmp_path / "long.jsonl"
    file.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert "1 new" in run("import", file, "--collection", "house")
    assert "2 embedded" in run("embed")
    assert 2 <= windows(settings) <= MOST_WINDOWS
    query = "מי מנקה את חדר המדרגות? " * 420
    assert len(query) > 10_000
    found = answer(run("search", query, "--mode", "semantic", "--json"))
    assert [hit["id"] for hit in found["hits"]] == ["long"]
    assert found["semantic"]["state"] == "ready"
    by_tag = answer(run("search", "", "--mode", "tags", "--tag", LONG_TAG, "--json"))
    assert [hit["id"] for hit in by_tag["hits"]] == ["long"]


def largest() -> str:
    """Return nearly as much text as a document may have."""
    return SENTENCE * ((MOST_TEXT_BYTES - 100) // len(SENTENCE.encode()))


def windows(settings: Settings) -> int:
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        found = int(connection.execute(text("SELECT count(*) FROM embedding")).scalar_one())
    engine.dispose()
    return found


def answer(printed: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed)
    return found
