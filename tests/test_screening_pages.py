"""The pages of screenings: begun by a form, the owner's own until shared, narrowed, decided upon, exported."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from indexes.access import set_private
from indexing.documents import NewDocument, delete_documents, write_documents
from models import db, document_number
from operations.keys import create_key, revoke_key
from runtime import runtime_of
from screening.links import MOST_LINKS
from screening.store import LONGEST_NOTE
from tests.conftest import Started, closed, settings_for, site_on_sqlite
from tests.markup import Page
from tests.screened import filled
from tests.semantic_side import use_semantic
from tests.visits import signed_in

EVIL = NewDocument("=evil", '=HYPERLINK("x")', "", ("SQL", "<b>x</b>"), "en", extra={"city": "@city", "years": "2"})


@pytest.fixture(scope="module")
def site(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("screenings")
    with site_on_sqlite(started, folder) as app:
        app.config["WTF_CSRF_ENABLED"] = False
        with app.app_context():
            use_semantic(app, filled(db.session()))
            write_documents(db.session(), "people", [EVIL])
            write_documents(db.session(), "twins", [NewDocument(n, "Same", "", ("SQL",)) for n in ("a", "b")])
            write_documents(db.session(), "gone", [NewDocument("a", "A", "")])
            delete_documents(db.session(), [document_number("gone", "a")])
        yield app
        runtime_of(app).screenings.wake().join()


@pytest.fixture
def reader(site: Flask) -> FlaskClient:
    return site.test_client()


def begin(client: FlaskClient, **form: str) -> TestResponse:
    answer = client.post("/screenings?lang=en", data={"job": "dev", "profiles": "people"} | form)
    runtime_of(client.application).screenings.wake().join()
    return answer


def page(client: FlaskClient, address: str, lang: str = "en") -> Page:
    joined = f"{address}{'&' if '?' in address else '?'}lang={lang}"
    return Page(client.get(joined).get_data(as_text=True))


@pytest.mark.parametrize("lang", ["he", "en"])
def test_the_pages_stand_in_both_languages_with_one_heading_and_nothing_inline(reader: FlaskClient, lang: str) -> None:
    address = begin(reader).location
    for one in ("/screenings", address, f"{address}?page=99", f"{address}?city=Acre&min_years=1"):
        found = page(reader, one, lang)
        assert found.one("html")["dir"] == ("rtl" if lang == "he" else "ltr")
        assert len(found.all("h1")) == 1
        assert not [attrs for _, attrs in found.elements if "style" in attrs or "onclick" in attrs]
        if lang == "he":
            assert not re.search(r"\b(the|Missing|Has|profiles ranked|Narrow)\b", found.text), one


def test_has_close_and_missing_are_words_shapes_and_counts(reader: FlaskClient) -> None:
    text = page(reader, begin(reader).location).text
    assert "✓ Has 3 Python (senior) SQL Git (an advantage)" in text
    assert re.search(r"≈ Has something close 1 food safety rules has: food safety", text)
    assert "○ Missing 1 food safety rules" in text


def shared(client: FlaskClient, address: str, **form: str) -> str:
    """Make a link as the owner does, and return its address."""
    answer = client.post(f"{address}/links?lang=en", data={"name": "a colleague"} | form)
    assert answer.status_code == 200
    return Page(answer.get_data(as_text=True)).text.split("cannot be shown again.")[1].split()[0]


def test_a_screening_is_its_owners_alone_until_it_is_shared(reader: FlaskClient, site: Flask) -> None:
    address, other = begin(reader).location, site.test_client()
    for path in ("", "/export", "?share=x", "?share="):
        assert other.get(address + path).status_code == 404
        assert other.get(f"/api{address}{path}").status_code == 404
    for path in ("/run", "/cancel", "/delete", "/profiles", "/links", "/links/1/revoke"):
        assert other.post(address + path).status_code == 404
    link = shared(reader, address)
    mine, theirs = page(reader, f"{address}?skill=SQL&sort=title"), page(other, f"{link}&skill=SQL&sort=title")
    ids = [[each["id"] for each in one.all("li", class_="profile")] for one in (mine, theirs)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3


def test_a_link_to_read_decides_nothing_and_stays_in_every_address(reader: FlaskClient, site: Flask) -> None:
    address, other = begin(reader).location, site.test_client()
    link = shared(reader, address)
    secret = link.partition("?")[2]
    found = page(other, link)
    assert not found.all("form", method="post")
    own = [each["href"] for each in found.all("a") if each["href"].startswith(address)]
    assert own
    assert all(secret in each for each in own)
    assert found.one("input", name="share")["value"] in secret
    decision = {"profile": "noa", "status": "rejected", "note": ""}
    for path in ("/profiles", "/run", "/cancel", "/delete", "/links"):
        assert other.post(f"{address}{path}?{secret}", data=decision).status_code == 403
    assert other.put(f"/api{address}/profiles/noa?{secret}", json={"status": "rejected"}).status_code == 403
    assert other.get(f"/api{address}?{secret}").status_code == 200
    assert other.get(f"{address}/export?{secret}").status_code == 200
    other_address = begin(reader).location
    assert other.get(f"{other_address}?{secret}").status_code == 404


def test_a_decision_has_author_and_time(reader: FlaskClient, site: Flask) -> None:
    address, other = begin(reader).location, site.test_client()
    secret = shared(reader, address, name="Dana", may_decide="1").partition("?")[2]
    decision = {"profile": "noa", "status": "shortlisted", "note": ""}
    answer = other.post(f"{address}/profiles?{secret}", data=decision)
    assert answer.status_code == 303
    assert secret in answer.location
    assert reader.post(f"{address}/profiles", data=decision | {"profile": "dan"}).status_code == 303
    profiles = {each["id"]: each for each in reader.get(f"/api{address}").json["results"]}  # type: ignore[index]
    assert profiles["noa"]["decided_by"] == "link Dana"
    assert profiles["dan"]["decided_by"] is None
    assert profiles["dan"]["decided_at"] >= profiles["noa"]["decided_at"] > 0
    assert profiles["lia"]["decided_at"] is None
    assert "link Dana · 1 second ago" in page(reader, address).text
    assert other.post(f"{address}/delete?{secret}").status_code == 403
    assert reader.post(f"{address}/run").status_code == 303
    runtime_of(site).screenings.wake().join()
    again = {each["id"]: each for each in reader.get(f"/api{address}").json["results"]}  # type: ignore[index]
    assert again["noa"]["decided_by"] == "link Dana"  # ranking again changes no decision


def test_a_revoked_link_lets_nobody_in(reader: FlaskClient, site: Flask) -> None:
    address = begin(reader).location
    link = shared(reader, address)
    (form,) = [each["action"] for each in page(reader, address).all("form") if each["action"].endswith("/revoke")]
    assert site.test_client().get(link).status_code == 200
    assert link.partition("share=")[2] not in reader.get(address).get_data(as_text=True)
    assert reader.post(form).status_code == 303
    assert site.test_client().get(link).status_code == 404


def test_there_are_so_many_links_and_each_has_a_name(reader: FlaskClient) -> None:
    address = begin(reader).location
    assert reader.post(f"{address}/links", data={"name": " "}).status_code == 422
    for _ in range(MOST_LINKS):
        shared(reader, address)
    assert reader.post(f"{address}/links", data={"name": "one more"}).status_code == 422


def test_a_key_owns_what_it_began_in_every_browser(site: Flask) -> None:
    with site.app_context():
        keys = [create_key(db.session(), name, ["read", "match"])[1] for name in ("mine", "other")]
    first, second, third = (signed_in(site.test_client(), key) for key in (keys[0], *keys))
    address = begin(first).location
    assert second.get(address).status_code == 200
    assert third.get(address).status_code == 404
    assert address in [one.get("href") for one in page(second, "/screenings").all("a")]
    bearer = {"Authorization": f"Bearer {keys[0]}"}
    assert site.test_client().get(f"/api{address}", headers=bearer).status_code == 200
    link = shared(first, address)
    assert site.test_client().get(link).status_code == 200


def test_a_link_to_a_private_collection_opens_it_while_the_key_of_who_made_it_does(site: Flask) -> None:
    with site.app_context():
        write_documents(db.session(), "hidden", [NewDocument("h1", "Hanna", "", ("SQL",))])
        set_private(db.session(), "hidden", is_private=True)
        row, key = create_key(db.session(), "recruiter", ["match"], ["hidden", "jobs"])
        key_id = row.id
    owner, other = signed_in(site.test_client(), key), site.test_client()
    address = begin(owner, profiles="hidden").location
    link = shared(owner, address)
    assert "Hanna" in page(other, link).text
    with site.app_context():
        revoke_key(db.session(), key_id)
    assert other.get(link).status_code == 404
    assert owner.get(address).status_code == 404


def test_the_list_is_of_the_browser_alone_and_of_all_for_the_admin(reader: FlaskClient, site: Flask) -> None:
    address = begin(reader).location
    assert address in [one.get("href") for one in page(reader, "/screenings").all("a")]
    other = site.test_client()
    assert address not in [one.get("href") for one in page(other, "/screenings").all("a")]
    other.post("/import", data={"token": "a token of the tests"})
    assert address in [one.get("href") for one in page(other, "/screenings").all("a")]


def test_only_who_began_it_or_the_admin_can_delete_it(reader: FlaskClient, site: Flask) -> None:
    address = begin(reader).location
    assert site.test_client().post(f"{address}/delete").status_code == 404
    assert "Delete with all decisions" not in page(site.test_client(), shared(reader, address)).text
    assert reader.post(f"{address}/delete").status_code == 303
    assert reader.get(address).status_code == 404


def test_empty_fields_of_the_form_leave_the_address(reader: FlaskClient) -> None:
    address = begin(reader).location
    answer = reader.get(f"{address}?skill=&not_skill=&city=Acre&min_years=&sort=")
    assert (answer.status_code, answer.location) == (303, f"{address}?city=Acre")


def test_a_decision_leads_back_to_the_list_as_it_was(reader: FlaskClient) -> None:
    address = begin(reader).location
    form = {"profile": "dan", "status": "shortlisted", "note": "שורה\r\nועוד", "place": "7"}
    answer = reader.post(f"{address}/profiles?skill=SQL", data=form)
    assert (answer.status_code, answer.location) == (303, f"{address}?skill=SQL#p7")
    found = page(reader, f"{address}?status=shortlisted")
    assert len(found.all("li", class_="profile-shortlisted")) == 1
    assert "★ shortlisted 1" in found.text
    assert "שורה ועוד" in found.text


def test_a_note_too_long_is_refused_and_stays_as_typed(reader: FlaskClient) -> None:
    address = begin(reader).location
    form = {"profile": "dan", "status": "new", "note": "n" * (LONGEST_NOTE + 1)}
    answer = reader.post(f"{address}/profiles?lang=en", data=form)
    assert answer.status_code == 413
    assert "n" * (LONGEST_NOTE + 1) in answer.get_data(as_text=True)
    link = Page(answer.get_data(as_text=True)).one("a", hreflang="he")["href"]
    assert link == f"{address}?lang=he"
    assert reader.get(link).status_code == 200
    assert reader.post(f"{address}/profiles", data=form | {"note": "n" * LONGEST_NOTE}).status_code == 303
    assert reader.post(f"{address}/profiles", data=form | {"note": "", "status": "hired"}).status_code == 422
    assert reader.post(f"{address}/profiles", data=form | {"note": "", "profile": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"job": "nothing"}, 404, "has the title 'nothing'"),
        ({"job": "blank"}, 422, "No skill was found"),
        ({"job": "", "text": "qqq"}, 422, "No skill was found"),
        ({"job": ""}, 404, "has the title ''"),
        ({"profiles": "nowhere"}, 404, "no collection 'nowhere'"),
        ({"profiles": "gone"}, 422, "empty"),
        ({"job": "Same", "jobs": "twins"}, 409, "choose one"),
        ({"job": "", "text": "a" * 100_001}, 413, "text is longer"),
    ],
)
def test_what_cannot_begin_says_why_and_what_was_typed_stays(
    reader: FlaskClient, form: dict[str, str], status: int, said: str
) -> None:
    answer = begin(reader, **form)
    assert answer.status_code == status
    assert said in Page(answer.get_data(as_text=True)).text


def test_several_jobs_of_a_title_are_a_choice(reader: FlaskClient) -> None:
    links = [one["href"] for one in Page(begin(reader, job="same", jobs="twins").get_data(as_text=True)).all("a")]
    (first, _) = [link for link in links if link.startswith("/screenings?job=")]
    assert page(reader, first).one("input", name="job")["value"] == "a"


def test_a_page_beyond_the_end_says_so(reader: FlaskClient) -> None:
    address = begin(reader).location
    found = page(reader, f"{address}?page=40")
    assert "There are no results on this page." in found.text
    assert f"{address}" in [one.get("href") for one in found.all("a", class_="button")]


def test_a_profile_changed_since_is_told_and_ranked_again_by_a_button(reader: FlaskClient, site: Flask) -> None:
    address = begin(reader).location
    with site.app_context():
        write_documents(db.session(), "people", [NewDocument("lia", "Lia", "", ("Git", f"new {address[-6:]}"), "en")])
    text = page(reader, address).text
    assert "1 profile was added or changed since." in text
    assert "changed since it was ranked" in text
    reader.post(f"{address}/run")
    runtime_of(site).screenings.wake().join()
    assert "added or changed since" not in page(reader, address).text


def test_csv_has_the_mark_of_utf8_harmless_cells_and_the_whole_list(reader: FlaskClient) -> None:
    address = begin(reader).location
    answer = reader.get(f"{address}/export?format=csv&skill=SQL&sort=title")
    assert answer.is_streamed
    text = answer.get_data(as_text=True)
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert {row["id"] for row in rows} == {"noa", "dan", "'=evil"}
    (evil,) = [row for row in rows if row["id"] == "'=evil"]
    assert evil["title"] == '\'=HYPERLINK("x")'
    assert evil["city"] == "'@city"
    assert [row["rank"] for row in rows] == ["1", "2", "3"]


def test_json_has_what_the_page_has(reader: FlaskClient) -> None:
    address = begin(reader).location
    answer = reader.get(f"{address}/export?format=json&city={quote('חיפה')}")
    told = json.loads(answer.data)
    assert {one["id"] for one in told["profiles"]} == {"noa", "avi"}
    assert told["screening"]["title"] == "Python developer"
    assert told["profiles"][0]["missing"] == ["food safety rules"]
    assert json.loads(reader.get(f"{address}/export?format=json&skill=zzz").data)["profiles"] == []


def test_what_is_stored_is_shown_as_text(reader: FlaskClient) -> None:
    raw = reader.get(begin(reader).location).get_data(as_text=True)
    assert "<b>x</b>" not in raw


def test_a_job_leads_to_its_ranking(reader: FlaskClient) -> None:
    assert "/screenings?job=dev" in [one.get("href") for one in page(reader, "/documents/dev?collection=jobs").all("a")]
    assert page(reader, "/screenings?job=dev").one("input", name="job")["value"] == "dev"


def test_a_form_from_elsewhere_is_refused(started: Started, tmp_path: Path) -> None:
    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path))
        for address in ("/screenings", "/screenings/7/profiles", "/screenings/7/delete", "/searches"):
            assert app.test_client().post(address, data={"job": "dev"}).status_code == 400
        closed(app)
