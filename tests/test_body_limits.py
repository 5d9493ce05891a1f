"""Bodies are limited by route before they are read, so that no visitor can fill the memory of a small host."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import site_of_one, sqlite_alone
from tests.servers import Server, serving
from tests.shared import limited
from tests.visits import BEARER, TOKEN, form_token
from web.body_limits import DOCUMENT_BYTES, FORM_BYTES, JSON_BYTES, UPLOAD_BYTES

database = sqlite_alone  # nothing of this reaches the database
site = site_of_one
UPLOAD_ROUTES = {"imports.import_upload": UPLOAD_BYTES, "api_imports.api_import": UPLOAD_BYTES}
DOCUMENT_ROUTES = dict.fromkeys(
    (
        "api_documents.api_create", "api_documents.api_replace", "documents.new_document_sent",
        "documents.edit_document_sent",
    ), DOCUMENT_BYTES,
)  # fmt: skip


def test_large_bodies_are_declared_for_imports_and_documents_alone(app: Flask) -> None:
    declared = {name: view.body_limit for name, view in app.view_functions.items() if hasattr(view, "body_limit")}
    assert declared == UPLOAD_ROUTES | DOCUMENT_ROUTES


@pytest.mark.parametrize(
    "path", ["/api/recommend", "/api/skill-gap", "/api/compare", "/api/screenings", "/api/searches"]
)
def test_a_public_route_takes_json_of_256_kb(site: FlaskClient, path: str) -> None:
    for body, is_small in (("x" * (JSON_BYTES - 100), True), ("x" * JSON_BYTES, False)):
        response = site.post(path, data=json.dumps({"other": body}), content_type="application/json")
        assert (response.status_code != 413) == is_small, response.get_data(as_text=True)
    error = response.get_json()["error"]
    assert (error["code"], error["message"]) == (
        "request_entity_too_large",
        "The request is larger than 256 KB: send less.",
    )


def multipart(**fields: str) -> dict[str, Any]:
    """Return a form as one body in memory: the test client would keep a large one in a file of its own."""
    parts = []
    for name, value in fields.items():
        more = '; filename="many.csv"\r\nContent-Type: text/csv' if name == "file" else ""
        parts.append(f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n')
    return {"data": ("".join(parts) + "--x--\r\n").encode(), "content_type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize("path", ["/match", "/screenings", "/searches", "/import"])
def test_a_form_takes_1_mb(site: FlaskClient, path: str) -> None:
    response = site.post(f"{path}?lang=en", **multipart(cv="x" * FORM_BYTES))
    assert response.status_code == 413
    assert "1 MB" in response.get_data(as_text=True)


def test_a_large_file_is_taken_once_the_admin_token_is_known(site: FlaskClient) -> None:
    def upload() -> int:
        form = multipart(csrf_token=form_token(site), token=TOKEN, file="title\n" + "x\n" * FORM_BYTES)
        return site.post("/import", **form).status_code

    assert upload() == 413
    assert site.post("/import", data={"csrf_token": form_token(site), "token": TOKEN}).status_code == 303
    assert upload() == 302


def test_the_api_reads_a_large_body_with_the_token_alone(site: FlaskClient) -> None:
    document = {"title": "t", "body": "x" * (2 * JSON_BYTES)}
    assert site.post("/api/documents", json=document).status_code == 401
    assert site.post("/api/documents", json=document, headers=BEARER).status_code == 201


def announce(server: Server, path: str, kind: str, megabytes: int, body: bytes) -> int:
    """Send the head of a large request and the beginning of its body; return the status."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        length = megabytes * 2**20
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(OSError):  # refused meanwhile: the response is there
            connection.sendall(body)
        return int(connection.recv(4096).split(b" ", 2)[1])


def test_large_requests_of_strangers_leave_a_small_host_as_it_was(tmp_path: Path) -> None:
    """Four at once, as many as there are threads: nested JSON of 4 MB, and multipart forms of 250 MB."""
    nested = b'{"skills": [' + b"[[]]," * 200_000
    form = b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"x" * 2**20
    with serving(tmp_path, limited(tmp_path / "memory.json", "512M")) as server, ThreadPoolExecutor(4) as clients:
        before = server.anonymous_mb()
        for path, kind, megabytes, body in (
            ("/api/recommend", "application/json", 4, nested),
            ("/match", "multipart/form-data; boundary=x", 250, form),
        ):
            sent = [clients.submit(announce, server, path, kind, megabytes, body) for _ in range(4)]
            assert {status.result() for status in sent} == {413}
        assert server.get("/livez")[0] == 200
        assert server.anonymous_mb() - before < 20
