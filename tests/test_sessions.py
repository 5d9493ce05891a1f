"""The session's cookie: small and plain by force, a year long for who keeps something, and secure under https."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex

import pytest
from flask import Flask, session

from app import create_app
from tests.conftest import closed, settings_for, sqlite_alone
from web.sessions import LONGEST_VALUE, MOST_BYTES, SessionUnfit, faults

database = sqlite_alone


@pytest.mark.parametrize("value", [[1], {"a": 1}, "x" * (LONGEST_VALUE + 1), None, b"bytes"])
def test_only_numbers_and_short_strings_are_fit(value: object) -> None:
    assert faults({"browser": 7, "lang": "he", "fine": 0.5}, 100) == []
    assert len(faults({"browser": 7, "thing": value}, 100)) == 1


def test_a_cookie_over_its_bound_is_unfit() -> None:
    assert faults({}, MOST_BYTES) == []
    assert faults({}, MOST_BYTES + 1)


@pytest.mark.parametrize("stored", [{"query": ["a", "list"]}, {f"name{n}": token_hex(32) for n in range(30)}])
def test_an_answer_with_an_unfit_session_is_refused_in_tests(app: Flask, stored: dict[str, object]) -> None:
    @app.get("/unfit")
    def unfit() -> str:
        session.update(stored)
        return "stored"

    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(SessionUnfit):
        app.test_client().get("/unfit")


def test_a_site_that_serves_does_not_check(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path, check_sessions=False))

    @app.get("/unfit")
    def unfit() -> str:
        session["query"] = ["a", "list"]
        return "stored"

    assert app.test_client().get("/unfit").status_code == 200
    closed(app)


def test_who_only_reads_gets_no_cookie(app: Flask) -> None:
    assert "Set-Cookie" not in app.test_client().get("/text?q=a").headers


@pytest.mark.parametrize(("address", "secure"), [("http://localhost/", False), ("https://localhost/", True)])
def test_the_cookie_is_for_the_server_alone_and_secure_under_https(app: Flask, address: str, secure: bool) -> None:
    given = app.test_client().post("/api/searches", json={"address": "/text?q=a"}, base_url=address)
    cookie = given.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires=" in cookie
    assert ("Secure" in cookie) == secure
