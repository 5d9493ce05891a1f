"""Malformed requests: the same case for the same number, and a short run of them finds nothing wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from benchmarks.fuzz import ADMIN, PRIVATE_WORDS, known_routes, run
from benchmarks.fuzz_cases import KINDS, PIECES, Known, case
from config import Settings
from runtime import runtime_of
from tests.conftest import Started
from tests.visits import BEARER

KNOWN = Known(
    (("GET", "/text"), ("POST", "/api/recommend"), ("PUT", "/api/documents"), ("DELETE", "/api/a/<b>")), ("7",)
)


def test_a_number_makes_the_same_case_again_and_no_case_has_a_private_word() -> None:
    cases = [case(number, KNOWN, "token", ()) for number in range(500)]
    assert [each.data for each in cases[:50]] == [case(n, KNOWN, "token", ()).data for n in range(50)]
    assert {each.kind for each in cases} == {"page", "header", "form", "json", "upload", "raw"}
    assert len(KINDS) == 10
    assert not [word for word in PRIVATE_WORDS for each in cases if word in each.data.lower()]
    assert not [piece for piece in PIECES if piece.encode("utf-8", "surrogatepass") in PRIVATE_WORDS]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_short_run_finds_nothing_wrong(started: Started, tmp_path: Path, kind: str) -> None:
    with started.maker(kind).fresh(tmp_path) as url:
        figures = run(tmp_path, range(400), DATABASE_URL=url, SECRET_KEY="a secret of the tests", ADMIN_TOKEN=ADMIN)
    assert [f"{figure.name}: {figure.value}" for figure in figures if not figure.is_met] == []
    assert figures[0].value == 400


def test_every_route_is_drawn(app: Flask, settings: Settings) -> None:
    given = {"DATABASE_URL": settings.database_url, "SECRET_KEY": settings.secret_key, "ADMIN_TOKEN": ADMIN}
    drawn = {path for _, path in known_routes(settings.instance_dir, **given)}
    assert drawn == {rule.rule for rule in app.url_map.iter_rules()}


def test_an_error_page_is_one_also_where_the_caller_is_refused(app: Flask) -> None:
    """Found by such a run: the page of an error asked who was there, and that was refused, so the answer was a 500."""
    client = app.test_client()
    for _ in range(10):
        assert client.get("/api/tags", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/static/nothing", headers={"Authorization": "Bearer wrong"}).status_code == 404
    assert client.post("/signout", headers={"Authorization": "Bearer wrong"}).status_code == 400
    assert client.get("/api/tags", headers=BEARER).status_code == 429
    assert runtime_of(app).database.fault() == ""
