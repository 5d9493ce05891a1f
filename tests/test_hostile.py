"""Hostile input: uploads with paths for names, documents that carry formulas and scripts, addresses that lead away."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from indexing.documents import NewDocument, write_documents
from models import db
from tests.conftest import site_of_one, sqlite_alone
from tests.markup import Page
from tests.visits import BEARER, become_admin, get

HOSTILE_NAMES = (
    "../../evil.csv", "..\\..\\evil.csv", "/etc/evil.csv", "C:\\evil.csv", "....//evil.csv", "..",
    "uploads/../../evil.csv", "evil\0.csv", "evil.csv/", "~/.ssh/evil.csv", "%2e%2e%2fevil.csv", "\u202evsc.evil.csv",
    ".csv", "x" * 300 + ".csv",
)  # fmt: skip


database = sqlite_alone  # none of this depends on the database
site = site_of_one


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_an_uploads_name_never_leaves_its_folder(site: FlaskClient, tmp_path: Path, name: str) -> None:
    before = set(tmp_path.rglob("*"))
    become_admin(site, name=name)
    file = (io.BytesIO("title\nא\n".encode()), name)
    answer = site.post("/api/import", data={"file": file}, headers=BEARER)
    assert answer.status_code in (202, 422), answer.get_data(as_text=True)
    new = {
        path for path in set(tmp_path.rglob("*")) - before if path.is_file() and not path.name.startswith("matmon.db")
    }
    assert all(path.parent == tmp_path / "uploads" for path in new)
    assert not list(tmp_path.parent.glob("*evil*"))


@pytest.mark.parametrize(
    "path",
    [
        "/static/../config.py",
        "/static/%2e%2e/config.py",
        "/static/..%2fconfig.py",
        "/static/etc/passwd",
        "/static/.env",
    ],
)
def test_nothing_outside_the_static_folder_is_served(site: FlaskClient, path: str) -> None:
    assert get(site, path).status_code == 404


def broken() -> str:
    raise RuntimeError("a secret detail")


@pytest.mark.parametrize("path", ["/status", "/api/stats"])
def test_a_fault_shows_no_inside(app: Flask, site: FlaskClient, path: str) -> None:
    app.view_functions["search.status"] = app.view_functions["api_operations.api_stats"] = broken
    answer = site.get(path)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert not [word for word in ("Traceback", "RuntimeError", "secret detail", ".py", "File ") if word in text]


def test_cells_that_a_spreadsheet_would_run_are_defused(app: Flask, site: FlaskClient) -> None:
    rows = [
        NewDocument(f"{mark}id{n}", f"{mark}1+1 נוסחה", f"{mark}cmd|' /C calc'!A0", (f"{mark}tag",), url=f"{mark}x")
        for n, mark in enumerate(("=", "+", "-", "@", "\t=", "\r="))
    ]
    with app.app_context():
        write_documents(db.session(), "sheet", rows)
    text = get(site, "/text?q=נוסחה&collection=sheet&format=csv").get_data(as_text=True)
    cells = [cell for row in list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))[1:] for cell in row]
    assert sum(cell.startswith("'") for cell in cells) >= 4 * len(rows)
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://example.org/a?b=c", True),
        ("http://example.org", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("\x01javascript:alert(1)", False),
        ("data:text/html,<script>alert(1)</script>", False),
        ("vbscript:x", False),
        ("//evil.example", False),
        ("http://[", True),
        ('https://example.org/"><script>alert(1)</script>', True),
    ],
)
def test_only_an_address_of_the_web_becomes_a_link(app: Flask, site: FlaskClient, url: str, linked: bool) -> None:
    with app.app_context():
        write_documents(db.session(), "house", [NewDocument("2", "קישור", "גוף", url=url)])
    for path in ("/documents/2", "/text?q=קישור"):
        answer = get(site, path)
        page = Page(answer.get_data(as_text=True))
        assert answer.status_code == 200
        assert not [one for one in page.all("a") if not one["href"].startswith(("/", "http", "#", "?"))]
        outward = [one["href"] for one in page.all("a") if one["href"].startswith(("http", "//"))]
        assert outward == ([url] if linked and path.startswith("/doc") else [])
        assert not [one for one in page.all("script") if "src" not in one]


@pytest.mark.parametrize("path", ["//evil.example/a", "///evil.example", "/\\evil.example", "/go?mode=//evil.example"])
def test_no_link_or_redirect_leads_off_the_site(site: FlaskClient, path: str) -> None:
    answer = site.get(path, environ_overrides={"PATH_INFO": path.split("?", maxsplit=1)[0]}, buffered=True)
    assert not answer.headers.get("Location", "/").startswith(("//", "http", "/\\"))
    if answer.status_code != 302:
        links = [one["href"] for one in Page(answer.get_data(as_text=True)).all("a")]
        assert not [one for one in links if one.startswith(("//", "/\\", "http"))]
