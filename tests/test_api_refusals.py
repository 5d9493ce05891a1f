"""What the API refuses whatever the database: a bad parameter, no token, another type, an address that is not there."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.conftest import sqlite_alone
from tests.described import check

TOKEN = {"Authorization": "Bearer a token of the tests"}


database = sqlite_alone


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("mode=fuzzy", "mode='fuzzy': it must be one of hybrid, text, tags, semantic"),
        ("sort=size", "sort='size': it must be one of score, newest, title"),
        ("page=0", "page='0': it must be a whole number from 1 to 10000"),
        ("page=10001", "page='10001': it must be a whole number from 1 to 10000"),
        ("limit=-1", "limit='-1': it must be a whole number from 1 to 100"),
        ("limit=101", "limit='101': it must be a whole number from 1 to 100"),
        ("limit=1e2", "limit='1e2': it must be a whole number from 1 to 100"),
        ("limit=²", "limit='²': it must be a whole number from 1 to 100"),
        (f"limit={'9' * 5000}", f"limit='{'9' * 50}': it must be a whole number from 1 to 100"),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_value(client: FlaskClient, asked: str, said: str) -> None:
    refused = check(client.get(f"/api/search?{asked}"), "search", 422)
    assert refused["error"] == {"code": "bad_parameter", "message": said}


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", "Basic a token of the tests", "a token of the tests", "Bearer ערמונים"]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_writing_needs_the_token(client: FlaskClient, method: str, given: str) -> None:
    headers = {"Authorization": given.encode().decode("latin-1")} if given else {}
    operation = {"POST": "createDocument", "PUT": "replaceDocument", "DELETE": "deleteDocument"}[method]
    path = "/api/documents" if method == "POST" else "/api/documents/1"
    check(client.open(path, method=method, json={"title": "א"}, headers=headers), operation, 401)
    assert client.get("/api/search").get_json()["total"] == 0


def test_only_json_is_a_document(client: FlaskClient) -> None:
    answer = client.post("/api/documents", data='{"title": "א"}', content_type="text/plain", headers=TOKEN)
    check(answer, "createDocument", 415)


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/search/x", "/api/import/x"])
def test_an_unknown_address_is_told_in_json(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")


def test_a_method_that_is_not_there_is_told_which_are(client: FlaskClient) -> None:
    answer = client.post("/api/search")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
