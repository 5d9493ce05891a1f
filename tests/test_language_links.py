"""The link to the other language leads to a page, also on answers that no link leads to: those to forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from tests.conftest import Started, closed, settings_for
from tests.markup import Page


@pytest.mark.parametrize(
    ("method", "path", "status", "leads_to"),
    [
        ("GET", "/text?q=a&tag=b", 200, "/text?q=a&tag=b&lang=en"),
        ("GET", "/no/such/page", 404, "/no/such/page?lang=en"),
        ("POST", "/screenings", 413, "/screenings?lang=en"),
        ("POST", "/import", 400, "/import?lang=en"),
        ("POST", "/screenings/7/profiles?status=new", 404, "/screenings/7?status=new&lang=en"),
        ("GET", "/screenings/7/profiles", 405, "/screenings/7?lang=en"),
        ("GET", "/searches/7/run", 405, "/searches?lang=en"),
        ("POST", "/text", 405, "/text?lang=en"),
    ],
)
def test_the_other_language_is_a_page(
    started: Started, tmp_path: Path, method: str, path: str, status: int, leads_to: str
) -> None:
    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path))
        app.config["WTF_CSRF_ENABLED"] = status == 400
        client: FlaskClient = app.test_client()
        answer = client.open(path, method=method, data={"text": "a" * 100_001} if method == "POST" else None)
        assert answer.status_code == status
        assert Page(answer.get_data(as_text=True)).one("a", hreflang="en")["href"] == leads_to
        assert client.get(leads_to).status_code in (200, 404)
        closed(app)
