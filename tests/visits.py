"""Visits to the site that several tests make: a page read to its end, the admin's token given in the form."""

from __future__ import annotations

import io
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.markup import Page

TOKEN = "a token of the tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def get(client: FlaskClient, path: str, **more: Any) -> TestResponse:
    return client.get(path, buffered=True, **more)


def page(client: FlaskClient, address: str) -> Page:
    return Page(client.get(address).get_data(as_text=True))


def form_token(client: FlaskClient) -> str:
    return Page(get(client, "/import").get_data(as_text=True)).one("input", name="csrf_token")["value"]


def signed_in(client: FlaskClient, key: str = TOKEN) -> FlaskClient:
    """Sign a client in with a key, as a browser does."""
    token = page(client, "/signin?lang=en").one("input", name="csrf_token")["value"]
    assert client.post("/signin", data={"csrf_token": token, "key": key}).status_code == 303
    return client


def operator(app: Flask) -> FlaskClient:
    """Return a client that may see all figures: it sends the admin token with every request."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    return client


def become_admin(client: FlaskClient, token: str = TOKEN, name: str = "a.csv") -> TestResponse:
    file = (io.BytesIO("title\nא\n".encode()), name)
    return client.post("/import", data={"csrf_token": form_token(client), "token": token, "file": file})
