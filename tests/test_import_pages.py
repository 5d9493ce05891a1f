"""Importing through the pages: the token, the preview, the run, what was refused."""

from __future__ import annotations

import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models import Job, db
from tests.conftest import sqlite_alone
from tests.markup import Page
from tests.waiting import imports_ended

TOKEN = "a token of the tests"
ROWS = "title,body,labels\nארנק,נמצא ברחוב,אבדות;רחוב\n,,אבדות\nמפתח,<b מתחת לשטיח,אבדות\n"


database = sqlite_alone


def send(client: FlaskClient, text: str = ROWS, name: str = "found.csv", **fields: str) -> TestResponse:
    form = Page(client.get("/import?lang=en").get_data(as_text=True))
    token = form.one("input", name="csrf_token")["value"]
    file = (io.BytesIO(text.encode()), name)
    data = {"csrf_token": token, "token": TOKEN, "collection": "lost", "file": file, **fields}
    return client.post("/import", data=data, content_type="multipart/form-data")


def read(answer: TestResponse) -> Page:
    return Page(answer.get_data(as_text=True))


def joined() -> None:
    imports_ended()


def test_a_wrong_token_is_refused_and_what_was_filled_in_is_kept(client: FlaskClient) -> None:
    answer = send(client, token="wrong", map_tags="labels", tag_separator="|", drop="a, b")
    found = read(answer)
    assert answer.status_code == 401
    assert "The key is wrong, or may not import." in found.text
    assert found.all("p", role="alert")
    kept = {one["name"]: one.get("value", "") for one in found.all("input") if "name" in one}
    assert (kept["collection"], kept["map_tags"], kept["tag_separator"], kept["drop"]) == (
        "lost",
        "labels",
        "|",
        "a, b",
    )
    assert "token" in kept


def test_a_post_without_the_forms_token_is_refused(client: FlaskClient) -> None:
    answer = client.post("/import?lang=en", data={"token": TOKEN})
    assert answer.status_code == 400
    assert "The form was not accepted" in read(answer).text


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "a.csv", "The file is empty"),
        ("x", "a.pdf", "not a file of documents"),
        ("a,b\n1,2\n", "a.csv", "No column"),
    ],
)
def test_a_file_of_nothing_is_refused_in_words(client: FlaskClient, text: str, name: str, said: str) -> None:
    answer = send(client, text, name)
    assert answer.status_code == 422
    assert said in read(answer).text


def test_a_file_that_is_too_large_is_refused_in_words(app: Flask, client: FlaskClient) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1_000
    answer = send(client, "title\n" + "x" * 2_000)
    assert answer.status_code == 413
    assert "The file is too large" in read(answer).text


def test_a_file_is_shown_then_imported_then_found(client: FlaskClient) -> None:
    sent = send(client, map_tags="labels")
    assert sent.status_code == 302
    shown = read(client.get(sent.location))
    assert "labels tags" in shown.text
    assert "neither a title nor a body" in shown.text
    assert "<b מתחת לשטיח" in shown.text
    assert client.get("/text?q=מפתח").status_code == 200
    assert not read(client.get("/text?q=מפתח")).all("li", class_="hit")
    token = shown.one("input", name="csrf_token")["value"]
    assert client.post(sent.location, data={"csrf_token": token}).status_code == 302
    joined()
    done = read(client.get(sent.location))
    assert "Done." in done.text
    assert "2 new" in " ".join(done.text.split()) or "new 2" in done.text
    assert "neither a title nor a body" in done.text
    assert not done.all("meta", **{"http-equiv": "refresh"})
    assert len(read(client.get("/text?q=מפתח")).all("li", class_="hit")) == 1
    assert len(read(client.get("/tags?tag=אבדות")).all("li", class_="hit")) == 2


def test_once_given_the_token_is_not_asked_again(client: FlaskClient) -> None:
    send(client)
    assert not read(client.get("/import")).all("input", name="token")


def test_a_job_is_nobodys_business_without_the_token(app: Flask, client: FlaskClient) -> None:
    sent = send(client)
    assert app.test_client().get(sent.location).status_code == 404


@pytest.mark.parametrize(
    ("state", "age_s", "said"),
    [
        ("running", 0, "Reading the file"),
        ("embedding", 0, "their embeddings are being computed"),
        ("running", 3_600, "was interrupted"),
        ("failed", 0, "The import failed"),
    ],
)
def test_a_job_says_where_it_is(app: Flask, client: FlaskClient, state: str, age_s: int, said: str) -> None:
    sent = send(client)
    with app.app_context():
        job = db.session.get_one(Job, int(sent.location.rsplit("/", 1)[1]))
        job.state, job.done, job.total, job.updated_at = state, 5, 10, job.updated_at - age_s
        job.report = {"message": "RuntimeError: no room", "code": "broken"} if state == "failed" else {}
        db.session.commit()
    found = read(client.get(sent.location))
    runs = age_s == 0 and state != "failed"
    assert said in found.text
    assert bool(found.all("meta", **{"http-equiv": "refresh"})) == runs
    assert bool(found.all("progress", max="10", value="5")) == runs
    assert bool(found.all("form", action=sent.location)) != runs
    assert bool(found.all("form", action=f"{sent.location}/cancel")) == runs
    assert len(found.all("button", type="submit")) == 1
