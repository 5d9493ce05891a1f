"""The Jinja filters: durations, and the settings and stored messages that pages show."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask_babel import force_locale

from config import declared
from pages.formats import duration, stored_message
from routes import setting_rows
from tests.conftest import settings_for, sqlite_alone

database = sqlite_alone


@pytest.mark.parametrize(
    ("seconds", "hebrew", "english"),
    [
        (0.15, "150 אלפיות שנייה", "150 milliseconds"),
        (0.001, "1 אלפית שנייה", "1 millisecond"),
        (1.254, "1.25 שניות", "1.25 seconds"),
    ],
)
def test_a_time_below_a_second_is_in_milliseconds(app: Flask, seconds: float, hebrew: str, english: str) -> None:
    with app.test_request_context():
        with force_locale("he"):
            assert duration(seconds) == hebrew
        with force_locale("en"):
            assert duration(seconds) == english


def test_a_stored_refusal_is_shown_in_the_language_of_the_page(app: Flask) -> None:
    report = {"code": "too_much.skills", "values": {"most": 200}, "message": "More than 200 skills"}
    with app.test_request_context(), force_locale("he"):
        assert "200 כישורים" in stored_message(report)
        assert stored_message({"code": "empty", "message": "a.csv: the file is empty"}) == "a.csv: the file is empty"
        assert stored_message({"reason": "201 tags"}) == "201 tags"


def test_settings_are_shown_by_their_declared_names_without_secrets_or_folders(tmp_path: Path) -> None:
    url = "postgresql+psycopg2://matmon:hunter2hunter2@db/matmon"
    rows = setting_rows(settings_for(url, tmp_path, redis_url="rediss://:hunter2@host", embeddings_url="http://inside"))
    assert rows.keys() <= {declaration.name for declaration in declared().values()}
    assert (rows["DATABASE_URL"], rows["REDIS_URL"]) == ("postgresql://…", "rediss://…")
    assert (rows["TRUSTED_PROXIES"], rows["MEMORY_UNLOAD_PERCENT"], rows["LOG_QUERIES"]) == (0, 92, 0)
    shown = str(rows)
    assert not [text for text in ("hunter2", "inside", str(tmp_path)) if text in shown]
