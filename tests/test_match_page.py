"""The page that matches skills: its state in the address, its three states in words, long lists and texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from indexing.documents import NewDocument, write_documents
from models import db
from tests.collections import fill
from tests.conftest import Started, closed, settings_for, site_on_sqlite
from tests.markup import Page
from tests.semantic_side import use_semantic
from tests.visits import page

EVIL = '<script>alert("1")</script>'
JOBS = (
    NewDocument("dev", "Python developer", "Writes services.", ("Python (senior)", "SQL", "Git (nice to have)"), "en"),
    NewDocument("cook", "טבחית", "מבשלת.", ("בישול", "food safety rules", EVIL), "he"),
    NewDocument("blank", "Anything", "Anything at all.", (), "en"),
)


@pytest.fixture(scope="module")
def site(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("match")
    with site_on_sqlite(started, folder) as app:
        app.config["WTF_CSRF_ENABLED"] = False
        with app.app_context():
            write_documents(db.session(), "house", [NewDocument("a", "A", "", ("SQL",))])
            use_semantic(app, fill(db.session(), JOBS, "jobs"))
        yield app


@pytest.fixture
def reader(site: Flask) -> FlaskClient:
    return site.test_client()


@pytest.mark.parametrize("lang", ["he", "en"])
@pytest.mark.parametrize(
    "address",
    ["/match?", "/match?skills=SQL,juggling", "/match?job=dev&skills=SQL", "/match?skills=zzz", "/match?job=blank"],
)
def test_the_page_stands_in_both_languages_with_one_heading_and_nothing_inline(
    reader: FlaskClient, address: str, lang: str
) -> None:
    found = page(reader, f"{address}&lang={lang}")
    assert found.one("html")["dir"] == ("rtl" if lang == "he" else "ltr")
    assert len(found.all("h1")) == 1
    assert not found.all("style")
    assert not [attrs for _, attrs in found.elements if "style" in attrs or "onclick" in attrs]
    if lang == "he":
        assert not re.search(r"\bthe\b|\bMissing\b|\bYou have\b|\bskills\b", found.text)


def test_has_close_and_missing_are_words_and_shapes(reader: FlaskClient) -> None:
    text = page(reader, "/match?job=cook&skills=" + quote("בישול, food safety, juggling") + "&lang=en").text
    assert "✓ You have 1 בישול" in text
    assert re.search(r"≈ You have something close 1 food safety rules yours: food safety", text)
    assert "○ Missing 1" in text
    assert "+ Other skills 1 juggling" in text
    assert re.search(r"\d+% of what the job asks for", text)


@pytest.mark.parametrize("asked", ["skills=" + quote("SQL,בישול"), "skills=SQL&cv=" + quote("אוהב בישול וגם SQL")])
def test_the_number_that_orders_the_jobs_is_shown_with_its_parts(reader: FlaskClient, asked: str) -> None:
    found = page(reader, f"/match?{asked}&lang=en")
    fits = [int(number) for number in re.findall(r"(\d+)% fit", found.text)]
    assert len(fits) > 1
    assert fits == sorted(fits, reverse=True)
    assert re.search(r"\d+% fit: \d+% of what the job asks for · \d+% of your skills are asked for", found.text)


def test_a_job_leads_to_its_gap_with_the_same_skills(reader: FlaskClient) -> None:
    found = page(reader, "/match?skills=python,SQL&lang=en")
    assert "nice to have" in found.text
    (link,) = [one["href"] for one in found.all("a") if "job=dev" in one.get("href", "")]
    assert parse_qs(urlsplit(link).query) == {"skills": ["python, SQL"], "job": ["dev"]}
    assert "✓ You have 2" in page(reader, link).text


def test_what_is_typed_becomes_an_address(reader: FlaskClient) -> None:
    answer = reader.post("/match", data={"skills": "Python (senior, 5 years)\nSQL", "collection": "jobs", "cv": " "})
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.location).query) == {"skills": ["Python (senior, 5 years), SQL"]}
    assert "Python developer" in reader.get(answer.location).get_data(as_text=True)
    other = reader.post("/match", data={"skills": "SQL", "collection": "house"})
    assert parse_qs(urlsplit(other.location).query)["collection"] == ["house"]


def test_a_list_too_long_for_an_address_is_answered_at_once(reader: FlaskClient) -> None:
    skills = ["SQL", *(f"כישור {n} ארוך מאוד" for n in range(60))]
    found = Page(reader.post("/match?lang=en", data={"skills": "\n".join(skills)}).get_data(as_text=True))
    assert "Python developer" in found.text
    hidden = [one["value"] for one in found.all("input", name="job")]
    assert "dev" in hidden
    answer = reader.post("/match", data={"skills": "\n".join(skills), "job": "dev"})
    assert answer.status_code == 200


def test_a_pasted_cv_becomes_a_list_to_correct(reader: FlaskClient) -> None:
    raw = reader.post("/match?lang=en", data={"skills": "Git", "cv": "Years of SQL, and of Python (senior)."}).get_data(
        as_text=True
    )
    assert "Found in the text: SQL" in Page(raw).text
    assert re.search(r"<textarea name=\"skills\"[^>]*>Git\nSQL", raw)


def test_a_text_without_a_known_skill_says_so_and_an_empty_form_says_nothing(reader: FlaskClient) -> None:
    said = Page(reader.post("/match?lang=en", data={"cv": "qqq zzz"}).get_data(as_text=True)).text
    assert "names no skill" in said
    assert "Jobs that fit" not in page(reader, "/match?lang=en").text


def test_more_than_is_taken_is_refused_and_what_was_typed_stays(reader: FlaskClient) -> None:
    for form, word in (
        ({"skills": "a\n" * 201}, "Python"),
        ({"cv": "a" * 100_001}, "text"),
        ({"skills": "b" * 201}, "b"),
    ):
        answer = reader.post("/match?lang=en", data=form)
        if answer.status_code == 303:
            answer = reader.get(answer.location)
        assert answer.status_code == 413, word
        assert 'role="alert"' in answer.get_data(as_text=True)


def test_an_unknown_job_is_not_found(reader: FlaskClient) -> None:
    assert reader.get("/match?job=nothing").status_code == 404


def test_what_is_stored_and_typed_is_shown_as_text(reader: FlaskClient) -> None:
    raw = reader.get("/match?job=cook&skills=" + quote(EVIL + ",x</textarea>")).get_data(as_text=True)
    assert "<script>alert" not in raw
    assert "x</textarea>," not in raw


def test_the_page_is_linked_only_where_there_are_jobs(reader: FlaskClient, started: Started, tmp_path: Path) -> None:
    assert [one for one in page(reader, "/").all("a") if one.get("href") == "/match"]
    assert [one for one in page(reader, "/documents/dev").all("a") if one.get("href") == "/match?job=dev"]
    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path))
        assert not [one for one in page(app.test_client(), "/").all("a") if one.get("href") == "/match"]
        assert app.test_client().get("/match").status_code == 200
        closed(app)


def test_a_form_from_elsewhere_is_refused(started: Started, tmp_path: Path) -> None:
    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path))
        assert app.test_client().post("/match", data={"skills": "SQL"}).status_code == 400
        closed(app)
