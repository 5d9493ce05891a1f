"""Importing through the pages: the token, the preview, the run, what was refused."""

from __future__ import annotations

import io
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from models import Job, db
from tests.conftest import sqlite_alone
from tests.markup import Page
from tests.office_files import xlsx
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


def fields(shown: Page) -> list[str]:
    """Return what the columns of a file are said to be."""
    return [one["value"] for one in shown.all("option", selected="")]


def choose(client: FlaskClient, address: str, *uses: str, button: str = "/columns", **more: str) -> TestResponse:
    token = read(client.get(address)).one("input", name="csrf_token")["value"]
    form = {f"use-{place}": use for place, use in enumerate(uses)}
    return client.post(address + button, data={"csrf_token": token, "chosen": "1", **form, **more})


def test_a_wrong_token_is_refused_and_what_was_filled_in_is_kept(client: FlaskClient) -> None:
    answer = send(client, token="wrong", private="1")
    found = read(answer)
    assert answer.status_code == 401
    assert "The key is wrong, or may not import." in found.text
    assert found.all("p", role="alert")
    assert found.one("input", name="collection")["value"] == "lost"
    assert "selected" in found.one("option", value="1")
    assert found.all("input", name="token")


def test_a_post_without_the_forms_token_is_refused(client: FlaskClient) -> None:
    answer = client.post("/import?lang=en", data={"token": TOKEN})
    assert answer.status_code == 400
    assert "The form was not accepted" in read(answer).text


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "a.csv", "The file is empty"),
        ("x", "a.exe", "not a file of documents"),
        ("PK\x03\x04", "a.csv", "is a zip file"),
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
    sent = send(client)
    assert sent.status_code == 302
    shown = read(client.get(sent.location))
    assert fields(shown) == ["title", "body", "tags"]
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


def test_a_running_job_tells_how_long_it_still_takes(app: Flask, client: FlaskClient) -> None:
    sent = send(client)
    for done, said in ((40, "40 % · about 1 minute left"), (4, "4 %")):
        with app.app_context():
            job = db.session.get_one(Job, int(sent.location.rsplit("/", 1)[1]))
            job.state, job.done, job.total, job.updated_at = "running", done, 100, int(time.time())
            job.options = job.options | {"started": job.updated_at - 40}
            db.session.commit()
        text = read(client.get(sent.location)).text
        assert said in text
        assert ("left" in text) == ("left" in said)


def test_a_file_of_unknown_columns_is_kept_and_its_columns_are_chosen(client: FlaskClient) -> None:
    sent = send(client, "color,size,odd\nred,large,1\nblue,small,2\n")
    assert sent.status_code == 302
    shown = read(client.get(sent.location))
    assert "the columns are color, size, odd" in shown.text
    assert fields(shown) == ["", "", ""]
    assert choose(client, sent.location, "body", "body", "-").status_code == 303
    shown = read(client.get(sent.location))
    assert fields(shown) == ["body", "body", "-"]
    assert "the columns are color" not in shown.text
    assert choose(client, sent.location, "title", "tags", "", button="").status_code == 302
    joined()
    found = client.get("/api/search?q=blue&collection=lost").get_json()["hits"]
    assert [(hit["title"], hit["tags"]) for hit in found] == [("blue", ["small"])]
    assert client.get("/api/search?q=odd:2&collection=lost").get_json()["total"] == 1


def test_a_field_of_two_columns_is_refused_and_the_choice_stays_on_the_form(client: FlaskClient) -> None:
    sent = send(client)
    for button in ("", "/columns"):
        answer = choose(client, sent.location, "title", "title", "-", button=button)
        assert answer.status_code == 422
        assert "title is mapped to two columns, title and body: choose one." in read(answer).text
        assert fields(read(answer)) == ["title", "title", "-"]
    assert fields(read(client.get(sent.location))) == ["title", "body", "tags"]


def test_nothing_is_imported_while_no_column_is_title_or_text(client: FlaskClient) -> None:
    sent = send(client)
    answer = choose(client, sent.location, "", "", "tags", button="")
    assert (answer.status_code, fields(read(answer))) == (422, ["", "", "tags"])
    assert "No column is called title or body" in read(answer).text
    joined()
    assert client.get("/api/stats").get_json()["documents"] == 0


def test_another_encoding_is_looked_at_before_it_is_imported(client: FlaskClient) -> None:
    form = Page(client.get("/import?lang=en").get_data(as_text=True))
    file = (io.BytesIO("title\nсова\n".encode("cp866")), "a.csv")
    data = {"csrf_token": form.one("input", name="csrf_token")["value"], "token": TOKEN, "file": file}
    sent = client.post("/import", data=data, content_type="multipart/form-data")
    assert "сова" not in read(client.get(sent.location)).text
    assert choose(client, sent.location, "title", button="", encoding="cp866").status_code == 303
    assert "сова" in read(client.get(sent.location)).text
    wrong = choose(client, sent.location, encoding="klingon")
    assert "no encoding 'klingon'" in read(client.get(wrong.location)).text
    choose(client, sent.location, encoding="cp866")
    assert fields(read(client.get(sent.location))) == ["title"]


def test_the_list_of_a_json_file_can_be_named(client: FlaskClient) -> None:
    sent = send(client, '{"items": [{"title": "a"}], "more": [{"name": "b", "year": 1}, {"name": "c"}]}', "a.json")
    assert fields(read(client.get(sent.location))) == ["title"]
    choose(client, sent.location, "title", records="more")
    assert fields(read(client.get(sent.location))) == ["title", ""]


@pytest.mark.parametrize(
    ("text", "uses", "count"),
    [
        ("isbn,title\n7,a\n7,b\n", ("id", "title"), 2),
        ("isbn,code,title\n7,1,a\n8,1,b\n", ("", "id", "title"), 1),
    ],
    ids=["guessed", "chosen"],
)
def test_rows_are_merged_by_an_id_that_was_chosen_and_not_by_one_that_was_guessed(
    client: FlaskClient, text: str, uses: tuple[str, ...], count: int
) -> None:
    sent = send(client, text)
    choose(client, sent.location, *uses, button="")
    joined()
    assert client.get("/api/stats").get_json()["documents"] == count
    assert ("'isbn' was not taken as the ID" in read(client.get(sent.location)).text) == (count == 2)


def test_an_upload_that_was_not_started_is_listed_and_can_be_gone_on_with(client: FlaskClient) -> None:
    sent = send(client)
    listed = read(client.get("/import?lang=en"))
    assert listed.all("a", href=sent.location)
    assert "found.csv lost" in listed.text
    assert "not started: choose its columns" in listed.text
    choose(client, sent.location, "title", "body", "tags", button="")
    joined()
    assert "done 2 new, 0 changed, 1 refused" in read(client.get("/import?lang=en")).text


def test_past_imports_are_nobodys_business_without_a_key(app: Flask, client: FlaskClient) -> None:
    send(client)
    assert "found.csv" not in read(app.test_client().get("/import")).text


def send_files(client: FlaskClient, *files: tuple[str, str]) -> TestResponse:
    token = Page(client.get("/import?lang=en").get_data(as_text=True)).one("input", name="csrf_token")["value"]
    sent = [(io.BytesIO(text.encode()), name) for name, text in files]
    data = {"csrf_token": token, "token": TOKEN, "collection": "lost", "file": sent}
    return client.post("/import", data=data, content_type="multipart/form-data")


def test_several_files_or_a_folder_are_one_import(client: FlaskClient) -> None:
    sent = send_files(
        client, ("notes/sea/a.md", "# הים\n\nכחול"), ("notes/b.csv", "title,body\nx,y\n"), ("notes/c.jpg", "")
    )
    shown = read(client.get(sent.location))
    assert "notes.zip" in shown.text
    assert "not a kind of file that is read: left out notes/c.jpg" in shown.text
    assert choose(client, sent.location, folder_tags="1").status_code == 303
    assert choose(client, sent.location, button="", folder_tags="1").status_code == 302
    joined()
    found = client.get("/api/search?q=כחול&collection=lost").get_json()["hits"]
    assert [(hit["title"], hit["id"], hit["tags"]) for hit in found] == [("הים", "notes/sea/a.md", ["notes", "sea"])]


def test_too_many_files_at_once_are_refused_in_words(client: FlaskClient) -> None:
    assert send(client).status_code == 302
    answer = send_files(client, *((f"{number}.txt", "x") for number in range(700)))
    assert answer.status_code == 413
    assert "500 files may be sent at once" in read(answer).text


def test_a_sheet_of_a_spreadsheet_is_chosen_on_the_page(client: FlaskClient) -> None:
    form = Page(client.get("/import?lang=en").get_data(as_text=True))
    file = (io.BytesIO(xlsx({"one": [["title"], ["x"]], "שני": [["name", "תיאור"], ["y", "z"]]})), "a.xlsx")
    data = {"csrf_token": form.one("input", name="csrf_token")["value"], "token": TOKEN, "file": file}
    sent = client.post("/import", data=data, content_type="multipart/form-data")
    shown = read(client.get(sent.location))
    assert fields(shown) == ["title"]
    assert shown.all("select", name="sheet")
    assert "not hidden one שני" in shown.text.replace("the first one that is ", "")
    assert choose(client, sent.location, "title", button="", sheet="שני").status_code == 303
    assert fields(read(client.get(sent.location)))[:2] == ["title", "body"]
    choose(client, sent.location, "title", "body", sheet="three")
    assert "no sheet 'three'; the sheets are one, שני" in read(client.get(sent.location)).text
    choose(client, sent.location, sheet="שני")
    assert choose(client, sent.location, "title", "body", button="", sheet="שני").status_code == 302
    joined()
    assert "Done." in read(client.get(sent.location)).text
    assert client.get("/api/search?q=z").get_json()["hits"][0]["title"] == "y"
