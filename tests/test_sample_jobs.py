"""The sample's jobs and profiles: whole, in two languages, matched as one would, and not in the way of searches."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from config import ROOT
from indexing.importing import import_file
from indexing.layout import Options
from matching.aliases import aliases
from matching.recommend import recommend
from search.query import of_mapping
from search.search import search
from tests.collections import off_side

FILES = {"sample": ("sample-he", "sample-en"), "jobs": ("sample-jobs",), "profiles": ("sample-profiles",)}
WANTED = {
    "profile-he-noa": "job-he-rakaz-mitnadvim",
    "profile-he-amir": "job-he-menahel-tzevet-pituah",
    "profile-he-rut": "job-he-menahelet-heshbonot",
    "profile-he-samir": "job-he-ahot-kehila",
    "profile-he-olga": "job-he-more-matematika",
    "profile-he-yosef": "job-he-tabah",
    "profile-en-dana": "job-en-data-analyst",
    "profile-en-tom": "job-en-backend",
    "profile-en-leah": "job-en-writer",
    "profile-en-miri": "job-en-ux",
    "profile-en-jonas": "job-en-gardener",
    "profile-en-karin": "job-en-project",
}


def rows(name: str) -> list[dict[str, Any]]:
    lines = (ROOT / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def everything(app: Flask, session: Session, tmp_path: Path) -> Session:
    for collection, names in FILES.items():
        for name in names:
            copy = Path(shutil.copy(ROOT / "data" / f"{name}.jsonl", tmp_path))
            assert import_file(session, copy, Options(collection)).exit_code == 0
    return session


def test_there_are_thirty_jobs_and_twelve_profiles_in_both_languages() -> None:
    jobs, profiles = rows("sample-jobs"), rows("sample-profiles")
    assert (len(jobs), len(profiles)) == (30, 12)
    ids = [row["id"] for row in [*jobs, *profiles]]
    assert len(set(ids)) == len(ids)
    for row in [*jobs, *profiles]:
        assert row["language"] in ("he", "en")
        assert 3 <= len(row["skills"]) <= 6
        assert row["licence"] == "MIT"


def test_each_profile_finds_the_job_one_would_name(everything: Session) -> None:
    found = {}
    for row in rows("sample-profiles"):
        best = recommend(everything, off_side(), "jobs", row["skills"], "", 5, aliases()).fits
        found[row["id"]] = best[0].id if best else ""
    assert found == WANTED


def test_the_suggested_queries_find_documents_of_the_collection_first(everything: Session) -> None:
    suggested = json.loads((ROOT / "data" / "sample-queries.json").read_text(encoding="utf-8"))
    for one in suggested:
        if one["mode"] != "semantic":
            hits = search(everything, of_mapping({"q": one["q"], "mode": one["mode"]}), off_side()).hits
            assert hits[0].collection == "sample", one["q"]
