"""What an operator learns of searches: how many, how slow, and nothing of query unless that was chosen."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from app import create_app
from config import BadSetting, read_settings
from operations.figures import KEPT_S, MOST_SLOWEST, MOST_TEXT, Searches
from tests.conftest import closed, settings_for, sqlite_alone
from tests.markup import Page
from tests.visits import BEARER

SECRET = "הסוד שלי"


class Clock:
    """A clock that is set by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


database = sqlite_alone  # what is noted does not depend on the database


def test_the_ten_slowest_are_kept_slowest_first() -> None:
    searches = Searches()
    for number in range(200):
        searches.note("text", "a b", 3, float((number * 37) % 200))
    assert [one.ms for one in searches.slowest()] == [float(ms) for ms in range(199, 199 - MOST_SLOWEST, -1)]
    assert searches.counts == {"text": 200}
    assert searches.seconds["text"] == pytest.approx(sum(range(200)) / 1000)


def test_after_an_hour_they_are_forgotten() -> None:
    clock = Clock()
    searches = Searches(clock=clock)
    searches.note("text", "a", 0, 900.0)
    clock.now += KEPT_S - 1
    searches.note("text", "a", 0, 1.0)
    assert [one.ms for one in searches.slowest()] == [900.0, 1.0]
    clock.now += 2
    assert [one.ms for one in searches.slowest()] == [1.0]


def test_what_was_asked_is_not_even_kept() -> None:
    searches = Searches()
    searches.note("hybrid", SECRET, 7, 12.0)
    (one,) = searches.slowest()
    assert (one.mode, one.length, one.words, one.hits, one.text) == ("hybrid", len(SECRET), 2, 7, None)
    assert SECRET not in repr(vars(searches))


def test_where_it_is_kept_it_is_cut() -> None:
    searches = Searches(with_text=True)
    searches.note("text", "x" * 1_000, 0, 1.0)
    assert searches.slowest()[0].text == "x" * MOST_TEXT
    assert searches.slowest()[0].length == 1_000


def test_searches_at_the_same_moment_are_all_counted() -> None:
    searches = Searches()

    def many() -> None:
        for _ in range(500):
            searches.note("tags", "a", 1, 1.0)

    threads = [threading.Thread(target=many) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert searches.counts == {"tags": 4_000}
    assert len(searches.slowest()) == MOST_SLOWEST


def asked(client: FlaskClient) -> str:
    """Search in every way that there is, and return all that is told of it."""
    for address in ("/text?", "/?format=csv&", "/api/search?"):
        assert client.get(f"{address}q={quote(SECRET)}&lang=en").status_code == 200
    told = ("/status?lang=en", "/api/monitoring/memory?samples=9", "/api/monitoring/health", "/metrics")
    return "".join(client.get(address, headers=BEARER).get_data(as_text=True) for address in told)


def test_nothing_tells_what_was_asked(client: FlaskClient) -> None:
    told = asked(client)
    assert SECRET not in told
    assert "What was asked is not shown" in told
    page = Page(client.get("/status?lang=en", headers=BEARER).get_data(as_text=True)).text
    assert "Text" in page
    assert client.get("/api/monitoring/health", headers=BEARER).get_json()["searches"]["hybrid"]["count"] == 2


def test_log_queries_shows_it_on_the_status_page_alone(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path, log_queries=True))
    client = app.test_client()
    told = asked(client)
    page = client.get("/status", headers=BEARER).get_data(as_text=True)
    closed(app)
    assert SECRET in page
    assert told.count(SECRET) == 3  # the three searches, and on no other address
    assert "What was asked is not shown" not in told


def test_the_setting_is_off_unless_it_is_1(tmp_path: Path) -> None:
    given = {"INSTANCE_DIR": str(tmp_path)}
    assert not read_settings(given).log_queries
    assert read_settings(given | {"LOG_QUERIES": "1"}).log_queries
    with pytest.raises(BadSetting, match="LOG_QUERIES='yes': it must be one of 0, 1"):
        read_settings(given | {"LOG_QUERIES": "yes"})
