"""The page of the API: it has every operation of the description, and what it lets one try answers."""

from __future__ import annotations

import html
import re
import shlex

import pytest
from flask import Flask
from flask.testing import FlaskClient

from models import db
from tests.collections import fill
from tests.conftest import sqlite_alone
from tests.described import OPERATIONS
from tests.markup import Page
from tests.semantic_side import use_semantic

database = sqlite_alone  # nothing of the page comes from it


@pytest.fixture
def site(app: Flask) -> FlaskClient:
    with app.app_context():
        use_semantic(app, fill(db.session()))
    return app.test_client()


@pytest.mark.parametrize("lang", ["he", "en"])
def test_every_operation_is_there_once(site: FlaskClient, lang: str) -> None:
    text = site.get(f"/api?lang={lang}").get_data(as_text=True)
    shown = re.findall(r'<code class="method">(\w+)</code> <code>([^<]+)</code>', text)
    assert sorted(shown) == sorted((one.method.upper(), one.path) for one in OPERATIONS.values())
    assert len(set(re.findall(r'<details class="card operation" id="(\w+)"', text))) == len(OPERATIONS)


def test_what_can_be_tried_answers(site: FlaskClient) -> None:
    text = site.get("/api?lang=en").get_data(as_text=True)
    forms = re.findall(r'<form action="(/[^"]+)" method="get" target="_blank">(.*?)</form>', text, re.DOTALL)
    assert len(forms) > 8
    for path, form in forms:
        fields = {field["name"]: field.get("value", "") for field in Page(form).all("input")}
        answer = site.get(path, query_string=fields)
        assert answer.status_code in (200, 404), (path, fields, answer.get_data(as_text=True))


def test_each_has_a_command_that_makes_the_request(site: FlaskClient) -> None:
    text = site.get("/api?lang=en").get_data(as_text=True)
    commands = [html.unescape(one) for one in re.findall(r"<pre><code>(curl .*?)</code></pre>", text, re.DOTALL)]
    assert len(commands) == len(OPERATIONS)
    for command in commands:
        words = shlex.split(command)
        [address] = [word for word in words if word.startswith("http://localhost/")]
        assert "{" not in address
        assert address.isascii()
