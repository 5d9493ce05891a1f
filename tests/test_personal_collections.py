"""Whose collections are private from the start: those that are called by people."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from flask import Flask

from config import Settings
from indexes.access import set_private
from models import db
from tests.commands import run
from tests.visits import BEARER
from tests.waiting import until


def test_a_new_collection_of_people_is_private_unless_its_importer_says_otherwise(
    settings: Settings, app: Flask, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,title\n1,hidden treasure\n", encoding="utf-8")
    told = run(settings, "import", file, "--collection", "profiles")
    assert told.returncode == 0
    assert "it is private; --public leaves it open" in told.stdout
    assert run(settings, "import", file, "--collection", "מועמדים", "--public").returncode == 0
    assert run(settings, "import", file, "--collection", "books").returncode == 0
    client = app.test_client()
    for name, fields in (("People", {}), ("Candidates", {"private": "0"}), ("CVs", {"private": ""})):
        form = {"file": (BytesIO(b"id,title\n1,hidden treasure\n"), "a.csv"), "collection": name, **fields}
        assert client.post("/api/import", data=form, headers=BEARER).status_code == 202
    until(lambda: "CVs: 1" in run(settings, "collection", "list").stdout, "the imports' end")
    listed = run(settings, "collection", "list").stdout
    is_private = {line.partition(":")[0]: line.endswith("private") for line in listed.splitlines()}
    assert is_private == {
        "profiles": True, "מועמדים": False, "books": False, "People": True, "Candidates": False, "CVs": True,
    }  # fmt: skip
    page = client.get("/screenings?lang=en").get_data(as_text=True)
    assert "private from the start" in page
    with app.app_context():
        set_private(db.session(), "profiles", is_private=False)
    assert run(settings, "import", file, "--collection", "profiles").returncode == 0
    assert "profiles: 1 documents, public" in run(settings, "collection", "list").stdout
