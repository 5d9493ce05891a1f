"""The privacy page says what holds on this site, in both languages; answers for somebody are stored nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from indexes.access import set_private
from models import db
from runtime import runtime_of
from tests.documents import document, write
from tests.visits import BEARER, page

SAID: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({}, "is not recorded", "אינו נרשם"),
    ({"log_queries": True}, "kept in memory for up to an hour", "נשמר בזיכרון עד שעה"),
    ({"screening_days": 12}, "nobody has opened it for 12 days", "לא פתח אותו 12 ימים"),
    ({"saved_search_days": 2}, "not used it for 2 days", "לא השתמשתם בו יומיים"),
    ({"upload_days": 1}, "deleted after 1 day.", "נמחקים אחרי יום."),
    ({"audit_days": 0}, "until the operators delete them", "עד שהמפעילים מוחקים אותן"),
    ({"embeddings_url": "https://models.example"}, "is sent to a server", "נשלח לשרת"),
    ({"redis_url": "redis://localhost"}, "kept for up to 1 hour", "תוצאות נשמרות עד"),
    ({"privacy_contact": "privacy@site.example"}, "Write to: privacy@site.example", "לפניות: privacy@site.example"),
)


@pytest.mark.parametrize(("changes", "english", "hebrew"), SAID)
def test_it_is_true_to_the_settings(app: Flask, changes: dict[str, Any], english: str, hebrew: str) -> None:
    runtime = runtime_of(app)
    plain = page(app.test_client(), "/privacy?lang=en").text
    assert changes == {} or english not in plain
    runtime.settings = replace(runtime.settings, **changes)
    assert english in page(app.test_client(), "/privacy?lang=en").text
    assert hebrew in page(app.test_client(), "/privacy?lang=he").text


def test_every_page_leads_to_it_and_a_private_site_shows_it(app: Flask) -> None:
    client = app.test_client()
    assert any(link.get("href") == "/privacy" for link in page(client, "/").all("a"))
    runtime = runtime_of(app)
    runtime.settings = replace(runtime.settings, access="private")
    assert client.get("/privacy").status_code == 200


def test_answers_for_somebody_are_stored_nowhere(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        write(db.session(), document("1", "Secret"), collection="people")
        set_private(db.session(), "people", is_private=True)
    for path in ("/documents/1", "/api/documents/1?collection=people", "/api/search?q=secret"):
        answer = client.get(path, headers=BEARER)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"
    assert client.get("/api/search?q=secret").headers["Cache-Control"] == "private, no-cache"
