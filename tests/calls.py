"""Calls of the API, named before there is a client to make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

TOKEN = {"Authorization": "Bearer a token of the tests"}
Call = Callable[[FlaskClient], TestResponse]


def get(address: str, **more: Any) -> Call:
    return lambda client: client.get(address, **more)


def post(address: str, **more: Any) -> Call:
    return lambda client: client.post(address, **more)


def put(address: str, **more: Any) -> Call:
    return lambda client: client.put(address, **more)


def delete(address: str, **more: Any) -> Call:
    return lambda client: client.delete(address, **more)


def too_often(address: str, then: Call | None = None) -> Call:
    """Ask nine times where eight are taken, or the ninth time something else."""
    last = then or get(address)
    return lambda client: [*(client.get(address) for _ in range(8)), last(client)][-1]
