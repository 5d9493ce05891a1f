"""Side by side: one person against jobs, people against one job, chosen on the pages that list them."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from indexing.documents import write_documents
from models import db
from tests.documents import document
from tests.markup import Page
from tests.visits import get

JOBS = [
    document("dev", "מפתחת", "", "Python (senior)", "SQL", "Docker (nice to have)"),
    document("data", "Data analyst", "", "SQL", "Excel"),
    document("blank", "Without skills", ""),
]
PEOPLE = [document("noa", "נועה", "", "Python (junior)", "SQL"), document("dan", "Dan", "", "Excel")]


@pytest.fixture
def site(app: Flask) -> FlaskClient:
    with app.app_context():
        write_documents(db.session(), "jobs", JOBS)
        write_documents(db.session(), "profiles", PEOPLE)
        write_documents(db.session(), "guides", [document("sql-guide", "מדריך ל־SQL", "", "SQL")])
    return app.test_client()


def page(site: FlaskClient, path: str, status: int = 200, **query: object) -> Page:
    answer = get(site, f"{path}?{urlencode(query, doseq=True)}")
    assert answer.status_code == status
    return Page(answer.get_data(as_text=True))


def states(site: FlaskClient, **query: object) -> dict[str, list[str]]:
    """Return the cells of each row: has, close, missing, or none."""
    html = get(site, f"/match/compare?{urlencode(query, doseq=True)}").get_data(as_text=True)
    rows = html.split("<tbody>")[1].split("<tr>")[1:]
    named = [row.split("<bdi>")[1].split("</bdi>")[0] for row in rows]
    cells = [[cell.split('"')[0] for cell in row.split('class="cell ')[1:]] for row in rows]
    return dict(zip(named, cells, strict=True))


def test_one_person_against_jobs(site: FlaskClient) -> None:
    found = states(site, skills="Python (junior), Excel", job=["dev", "data"], lang="en")
    assert found == {
        "Python": ["answer-close", "cell-none"],
        "SQL": ["answer-missing", "answer-missing"],
        "Docker": ["answer-missing", "cell-none"],
        "Excel": ["cell-none", "answer-has"],
    }
    text = page(site, "/match/compare", skills="Python (junior), Excel", job=["dev", "data"], lang="en").text
    assert "below what is required: senior , and there is junior" in text


def test_people_against_one_job(site: FlaskClient) -> None:
    found = states(site, against="data", profile=["dan", "noa"])
    assert found == {"SQL": ["answer-missing", "answer-has"], "Excel": ["answer-has", "answer-missing"]}


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"skills": "SQL"}, 422, "Choose 1 to 10"),
        ({"skills": "SQL", "job": [str(n) for n in range(11)]}, 404, ""),
        ({"skills": "SQL", "job": ["nothing"]}, 404, ""),
        ({"against": "nothing", "profile": ["noa"]}, 404, ""),
        ({"against": "dev"}, 422, "Choose 1 to 10"),
        ({"job": ["dev"]}, 200, "You named no skill"),
        ({"skills": "SQL", "job": ["blank"]}, 200, "None of them names a skill"),
        ({"skills": "x" * 201, "job": ["dev"]}, 422, "longer than 200"),
    ],
)
def test_what_cannot_be_compared_is_said(site: FlaskClient, query: dict[str, object], status: int, said: str) -> None:
    assert said in page(site, "/match/compare", status, **query, lang="en").text


def test_eleven_jobs_are_too_many(site: FlaskClient) -> None:
    with site.application.app_context():
        write_documents(db.session(), "jobs", [document(str(n), f"Job {n}", "", "SQL") for n in range(11)])
    query = {"skills": "SQL", "job": [str(n) for n in range(11)], "lang": "en"}
    assert "Choose 1 to 10" in page(site, "/match/compare", 422, **query).text


def test_jobs_are_chosen_where_they_are_listed(site: FlaskClient) -> None:
    html = get(site, "/match?skills=SQL").get_data(as_text=True)
    assert html.count('form="compare"') == 2
    assert 'action="/match/compare"' in html


def test_what_is_missing_has_something_to_read(site: FlaskClient) -> None:
    html = get(site, "/match?skills=Excel&job=data").get_data(as_text=True)
    assert "/documents/sql-guide?collection=guides" in html
    answer = site.post("/api/skill-gap", json={"document_id": "data", "skills": ["Excel"]})
    guide = {"collection": "guides", "id": "sql-guide", "title": "מדריך ל־SQL"}
    assert answer.get_json()["readings"] == {"SQL": [guide]}
