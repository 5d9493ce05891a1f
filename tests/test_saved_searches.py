"""Kept searches: a browser's own, under names, with an exact count of what is new since each was looked at."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from indexing.documents import delete_documents, write_documents
from models import SavedSearch, db, document_number
from screening.store import delete_screening, run_again
from search.query import Query
from search.saved_searches import LONGEST_NAME, MOST_OF_BROWSER, delete_old_searches
from tests.collections import fill
from tests.documents import document
from tests.markup import Page
from tests.screened import filled, ranked, run


@pytest.fixture
def reader(app: Flask) -> FlaskClient:
    app.config["WTF_CSRF_ENABLED"] = False
    with app.app_context():
        fill(db.session())
    return app.test_client()


def keep(client: FlaskClient, address: str, name: str = "") -> int:
    answer = client.post("/api/searches", json={"address": address, "name": name})
    assert answer.status_code == 201, answer.json
    number: int = answer.json["id"]  # type: ignore[index]
    return number


def as_browser(client: FlaskClient, number: int) -> FlaskClient:
    with client.session_transaction() as cookie:
        cookie["browser"] = number
    return client


def kept(client: FlaskClient) -> list[dict[str, Any]]:
    return list(client.get("/api/searches").json["searches"])  # type: ignore[index]


def write(client: FlaskClient, *documents: Any) -> None:
    with client.application.app_context():
        write_documents(db.session(), "house", list(documents))


def test_a_search_is_kept_told_of_what_is_new_looked_at_and_forgotten(reader: FlaskClient) -> None:
    number = keep(reader, "/text?q=%D7%9E%D7%A8%D7%A7&collection=house", "מרקים")
    assert [(one["name"], one["new"]) for one in kept(reader)] == [("מרקים", 0)]
    write(reader, document("s1", "מרק ירקות", "", "בישול"), document("s2", "מרק בצל", ""), document("x", "לחם", ""))
    assert kept(reader)[0]["new"] == 2
    write(reader, document("s2", "מרק בצל צרפתי", ""))  # changed, and new only once
    assert kept(reader)[0]["new"] == 2
    told = reader.post(f"/api/searches/{number}/run", json={}).json
    assert told is not None
    hits = Page(reader.get(told["new_address"]).get_data(as_text=True)).all("li", class_="hit")
    assert len(hits) == 2
    assert len(Page(reader.get(told["address"]).get_data(as_text=True)).all("li", class_="hit")) == 3
    assert kept(reader)[0]["new"] == 0
    write(reader, document("soup", "מרק עדשים אדומות", "", "בישול"))
    assert kept(reader)[0]["new"] == 1
    with reader.application.app_context():
        delete_documents(db.session(), [document_number("house", "soup")])
    assert kept(reader)[0]["new"] == 0
    assert reader.delete(f"/api/searches/{number}").status_code == 204
    assert kept(reader) == []


@pytest.mark.parametrize("address", ["/?q=bread", "/text?q=bread", "/tags?tag=baking", "/?tag=baking", "/?language=en"])
def test_every_way_of_searching_counts_what_is_new(reader: FlaskClient, address: str) -> None:
    keep(reader, address)
    write(reader, document("b1", "Rye bread", "", "baking", language="en"), document("z", "משהו אחר", ""))
    assert [one["new"] for one in kept(reader)] == [1]


def test_by_meaning_is_counted_only_where_the_model_is_there(reader: FlaskClient) -> None:
    keep(reader, "/semantic?q=bread")
    assert kept(reader)[0]["new"] == 0
    write(reader, document("b1", "Rye bread", ""))
    assert kept(reader)[0]["new"] is None
    assert "New matches are counted once" in Page(reader.get("/searches?lang=en").get_data(as_text=True)).text


def test_the_list_is_of_the_browser_alone(reader: FlaskClient, app: Flask) -> None:
    number = keep(reader, "/text?q=bread")
    other = app.test_client()
    assert kept(other) == []
    keep(other, "/text?q=bread")
    assert other.delete(f"/api/searches/{number}").status_code == 404
    assert other.post(f"/searches/{number}/delete").status_code == 404
    assert other.post(f"/searches/{number}/run").status_code == 404
    assert len(kept(reader)) == 1


def test_a_forged_cookie_has_no_list(reader: FlaskClient, app: Flask) -> None:
    keep(reader, "/text?q=bread")
    cookie = reader.get_cookie("session")
    assert cookie is not None
    other = app.test_client()
    other.set_cookie("session", cookie.value[:-2] + ("aa" if cookie.value[-2:] != "aa" else "bb"))
    assert kept(other) == []


def test_results_have_a_link_that_keeps_them_without_a_script(reader: FlaskClient) -> None:
    results = Page(reader.get("/text?q=bread&page=1&lang=en").get_data(as_text=True))
    (link,) = [one["href"] for one in results.all("a") if "/searches?save=" in one.get("href", "")]
    form = Page(reader.get(link + "&lang=en").get_data(as_text=True))
    assert form.one("input", name="address")["value"] == "/text?q=bread"
    assert form.one("input", name="name")["value"] == "bread"
    answer = reader.post("/searches", data={"address": "/text?q=bread", "name": "לחמים"})
    assert answer.status_code == 303
    found = Page(reader.get("/searches?lang=en").get_data(as_text=True))
    assert "לחמים nothing new" in found.text


def test_search_again_and_only_what_is_new_lead_to_their_addresses(reader: FlaskClient) -> None:
    number = keep(reader, "/text?q=bread")
    write(reader, document("b1", "Rye bread", ""))
    assert "1 new" in Page(reader.get("/searches?lang=en").get_data(as_text=True)).text
    new = reader.post(f"/searches/{number}/run", data={"what": "new"})
    assert new.location.startswith("/text?q=bread&since=")
    shown = Page(reader.get(new.location + "&lang=en").get_data(as_text=True))
    assert "Added or changed since your last visit." in shown.text
    assert len(shown.all("li", class_="hit")) == 1
    assert reader.post(f"/searches/{number}/run").location == "/text?q=bread"


@pytest.mark.parametrize(
    "address",
    ["", "/", "/status", "https://elsewhere.example/text?q=a", "//elsewhere.example/?q=a", "/screenings/7"],
)
def test_only_a_search_of_this_site_is_kept(reader: FlaskClient, address: str) -> None:
    assert reader.post("/api/searches", json={"address": address}).status_code == 422
    assert reader.post("/searches", data={"address": address, "name": "a"}).status_code == 422


def test_the_same_search_is_kept_once_under_its_newest_name(reader: FlaskClient) -> None:
    first = keep(reader, "/text?q=bread&page=2", "one")
    assert keep(reader, "/text?q=bread", "two") == first
    assert [one["name"] for one in kept(reader)] == ["two"]


def test_a_browser_keeps_so_many_and_no_more(reader: FlaskClient) -> None:
    for number in range(MOST_OF_BROWSER):
        asked = {"address": f"/text?q=a{number}"}
        where = {"REMOTE_ADDR": f"10.0.0.{number}"}  # each with a rate of its own
        assert reader.post("/api/searches", json=asked, environ_overrides=where).status_code == 201
    refused = reader.post("/api/searches", json={"address": "/text?q=more"})
    assert (refused.status_code, refused.json["error"]["code"]) == (409, "full")  # type: ignore[index]
    assert reader.post("/searches", data={"address": "/text?q=more"}).status_code == 422
    pages = Page(reader.get("/searches?page=5").get_data(as_text=True))
    assert len(pages.all("li", class_="kept")) == 10
    assert len(kept(reader)) == MOST_OF_BROWSER


def test_a_name_has_its_bound(reader: FlaskClient) -> None:
    asked = {"address": "/text?q=bread", "name": "a" * (LONGEST_NAME + 1)}
    assert reader.post("/api/searches", json=asked).status_code == 422
    assert "A name has 1 to 100 characters." in reader.post("/searches?lang=en", data=asked).get_data(as_text=True)


def test_what_nobody_looked_at_for_long_is_forgotten(reader: FlaskClient, app: Flask) -> None:
    keep(reader, "/text?q=bread")
    keep(reader, "/text?q=soup")
    with app.app_context():
        old = update(SavedSearch).where(SavedSearch.address == "/text?q=bread")
        db.session.execute(old.values(used_at=SavedSearch.used_at - 1_000))
        db.session.commit()
        assert delete_old_searches(db.session(), int(time.time()) - 500) == 1
        assert db.session.execute(select(func.count()).select_from(SavedSearch)).scalar_one() == 1


def test_another_sites_form_cannot_keep_one(reader: FlaskClient) -> None:
    assert reader.post("/api/searches", data='{"address": "/text?q=a"}', content_type="text/plain").status_code == 415


def test_a_moment_in_the_address_narrows_a_search_and_nonsense_is_passed_over() -> None:
    from werkzeug.datastructures import MultiDict

    assert Query.from_args(MultiDict({"since": "41"})).since == 41
    assert Query.from_args(MultiDict({"since": "x"})).since == 0
    assert Query(since=41).address() == "since=41"


def test_a_list_of_a_screening_is_kept_and_tells_which_of_its_profiles_are_new(reader: FlaskClient) -> None:
    with reader.application.app_context():
        side = filled(db.session())
        address = f"/screenings/{ranked(db.session(), side).id}?skill=SQL"
    number = keep(as_browser(reader, 1), address, "SQL")
    with reader.application.app_context():
        write_documents(db.session(), "people", [document("p1", "P", "", "SQL"), document("p2", "Q", "", "Git")])
        assert run_again(db.session(), int(address.split("/")[2].split("?", maxsplit=1)[0]))
        run(db.session(), side)
    assert kept(reader)[0]["new"] == 1
    new = reader.post(f"/searches/{number}/run", data={"what": "new"}).location
    assert len(Page(reader.get(new).get_data(as_text=True)).all("li", class_="profile")) == 1
    assert kept(reader)[0]["new"] == 0


def test_what_is_kept_of_a_screening_that_is_gone_says_so(reader: FlaskClient) -> None:
    with reader.application.app_context():
        number = ranked(db.session(), filled(db.session())).id
    one = keep(as_browser(reader, 1), f"/screenings/{number}?skill=SQL")
    with reader.application.app_context():
        delete_screening(db.session(), number)
    assert [(found["gone"], found["new"]) for found in kept(reader)] == [(True, None)]
    assert (
        "What this search is about no longer exists."
        in Page(reader.get("/searches?lang=en").get_data(as_text=True)).text
    )
    assert reader.post(f"/searches/{one}/run").status_code == 404
