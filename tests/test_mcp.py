"""The Model Context Protocol: with its own client over HTTP and standard input, and with messages as they are sent."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent
from sqlalchemy.orm import Session

from app import create_app
from config import ROOT, Settings
from models import db
from tests.commands import environment
from tests.conftest import Started, closed, settings_for, sqlite_alone
from tests.mcp_calls import sent, write_both
from tests.servers import Server, serving
from web.mcp_messages import STATELESS, WITH_HANDSHAKE
from web.mcp_tools import MOST_HITS, TOOLS

database = sqlite_alone  # what the tools call is tested on both databases

STATELESS_META = {
    "io.modelcontextprotocol/protocolVersion": STATELESS[-1],
    "io.modelcontextprotocol/clientCapabilities": {},
}
Result = TypeVar("Result")


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_for(database, tmp_path, rate_limit="100000/minute")


@pytest.fixture
def filled(app: Flask, session: Session) -> FlaskClient:
    write_both(session)
    return app.test_client()


@pytest.fixture(scope="module")
def server(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server with two collections."""
    folder = tmp_path_factory.mktemp("mcp")
    with started.maker("sqlite").fresh(folder) as url:
        app = create_app(settings_for(url, folder))
        with app.app_context():
            write_both(db.session())
        closed(app)
        with serving(folder, DATABASE_URL=url) as server:
            yield server


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def with_client(target: Any, use: Callable[[Client], Awaitable[Result]], mode: Any = "auto") -> Result:
    async def run() -> Result:
        async with Client(target, mode=mode) as client:
            return await use(client)

    return asyncio.run(run())


@pytest.mark.parametrize(("mode", "version"), [("auto", STATELESS[-1]), ("legacy", WITH_HANDSHAKE[-1])])
def test_its_own_client_finds_reads_and_matches(server: Server, mode: str, version: str) -> None:
    async def use(client: Client) -> None:
        assert client.protocol_version == version
        assert client.server_info
        assert client.server_info.name == "matmon"
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["search", "read_document", "similar", "list_collections", "match_skills"]
        for tool in tools.values():
            Draft202012Validator.check_schema(tool.input_schema)
        found = await client.call_tool("search", {"query": "עוגות", "mode": "text"})
        assert not found.is_error
        [hit] = found.structured_content["hits"]
        assert (hit["id"], hit["collection"], hit["tags"]) == ("1", "books", ["אפייה"])
        assert json.loads(text_of(found)) == found.structured_content
        path = hit["address"].removeprefix(f"http://127.0.0.1:{server.port}")
        assert server.send("GET", path).status == 200
        read = await client.call_tool("read_document", {"id": hit["id"], "collection": hit["collection"]})
        assert read.structured_content["body"] == "מתכונים לעוגות ולחמים"
        matched = await client.call_tool("match_skills", {"skills": ["gardening", "pruning"]})
        best = matched.structured_content["jobs"][0]
        assert (best["id"], best["missing"]) == ("gardener", ["first aid"])
        listed = await client.call_tool("list_collections", {})
        assert listed.structured_content["collections"] == [
            {"name": "books", "documents": 3},
            {"name": "jobs", "documents": 2},
        ]

    with_client(f"http://127.0.0.1:{server.port}/mcp", use, mode)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_its_own_client_reads_what_was_wrong(server: Server, mode: str) -> None:
    async def use(client: Client) -> None:
        refused = await client.call_tool("search", {"query": "x", "limit": 1_000})
        assert refused.is_error
        assert text_of(refused) == f"limit must be a whole number from 1 to {MOST_HITS}."
        with pytest.raises(MCPError):
            await client.call_tool("delete_everything", {})

    with_client(f"http://127.0.0.1:{server.port}/mcp", use, mode)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_command_serves_an_assistant_on_the_same_machine(settings: Settings, app: Flask, mode: str) -> None:
    with app.app_context():
        write_both(db.session())
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "flask", "--app", "app", "mcp", "--site", "https://books.example"],
        env=environment(settings),
        cwd=ROOT,
    )

    async def use(client: Client) -> list[dict[str, Any]]:
        results = [await client.call_tool("search", {"query": word}) for word in ("roses", "עוגות")]
        return [result.structured_content["hits"][0] for result in results]

    first, second = with_client(parameters, use, mode)
    assert (first["title"], second["title"]) == ("Garden book", "ספר הבישול")
    assert first["address"] == "https://books.example/documents/2?collection=books"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700), (b"\xff", -32700), (b"", -32700), (b"[" * 100_000, -32700), (b'{"a": NaN}', -32700),
        (b'"\\ud800"', -32700), (b"[]", -32600), (b"1", -32600), (b"{}", -32600),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": [], "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "result": {}}', -32600),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(filled: FlaskClient, body: bytes, code: int) -> None:
    answer = filled.post("/mcp", data=body, content_type="application/json")
    assert answer.get_json()["error"]["code"] == code
    assert answer.get_json()["error"]["message"]
    assert answer.status_code in (200, 400)


def test_methods_of_the_protocol_that_are_not_here(filled: FlaskClient) -> None:
    for method in ("resources/list", "prompts/list", "server/discover", "nothing"):
        assert sent(filled, method)["error"]["code"] == -32601
    assert sent(filled, "tools/list", cursor="x")["error"]["code"] == -32602
    assert sent(filled, "ping")["result"] == {}


@pytest.mark.parametrize("asked", [*WITH_HANDSHAKE, "2030-01-01", "", None, 5])
def test_the_handshake_agrees_on_a_version(filled: FlaskClient, asked: object) -> None:
    result = sent(filled, "initialize", protocolVersion=asked, capabilities={}, clientInfo={})["result"]
    assert result["protocolVersion"] == (asked if asked in WITH_HANDSHAKE else WITH_HANDSHAKE[-1])
    assert result["serverInfo"]["name"] == "matmon"
    assert "search" in result["instructions"]


def test_a_notification_has_no_answer(filled: FlaskClient) -> None:
    answer = filled.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (answer.status_code, answer.data) == (202, b"")


def stateless(client: FlaskClient, method: str, headers: dict[str, str] | None = None, **params: Any) -> Any:
    own = {"MCP-Protocol-Version": STATELESS[-1], "Mcp-Method": method}
    if "name" in params:
        own["Mcp-Name"] = params["name"]
    message = {"jsonrpc": "2.0", "id": "a", "method": method, "params": {"_meta": STATELESS_META, **params}}
    return client.post("/mcp", json=message, headers=own | (headers or {}))


def test_the_stateless_revision_begins_with_nothing(filled: FlaskClient) -> None:
    discovered = stateless(filled, "server/discover").get_json()["result"]
    assert discovered["supportedVersions"] == list(STATELESS)
    assert (discovered["resultType"], discovered["capabilities"]) == ("complete", {"tools": {}})
    listed = stateless(filled, "tools/list").get_json()["result"]
    assert len(listed["tools"]) == len(TOOLS)
    assert listed["ttlMs"] > 0
    found = stateless(filled, "tools/call", name="search", arguments={"query": "roses"}).get_json()
    assert found["id"] == "a"
    assert found["result"]["structuredContent"]["hits"][0]["id"] == "2"
    for method in ("initialize", "ping", "nothing"):
        answer = stateless(filled, method)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, -32601)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Mcp-Method": "tools/list"}, -32020),
        ({"Mcp-Name": "similar"}, -32020),
        ({"MCP-Protocol-Version": "2025-11-25"}, -32020),
        ({"MCP-Protocol-Version": "2031-01-01"}, -32020),
        ({"Mcp-Name": "=?base64?c2VhcmNo?="}, None),
        ({"Mcp-Name": "=?base64?%%%?="}, -32020),
    ],
)
def test_headers_must_say_what_the_body_says(filled: FlaskClient, headers: dict[str, str], code: int | None) -> None:
    answer = stateless(filled, "tools/call", headers, name="search", arguments={"query": "roses"})
    assert answer.get_json().get("error", {}).get("code") == code
    assert answer.status_code == (400 if code else 200)


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        (None, -32602),
        ({"io.modelcontextprotocol/protocolVersion": STATELESS[-1]}, -32602),
        (STATELESS_META | {"io.modelcontextprotocol/protocolVersion": "2031-01-01"}, -32022),
    ],
)
def test_a_request_says_its_version(filled: FlaskClient, meta: dict[str, Any] | None, code: int) -> None:
    version = (meta or STATELESS_META)["io.modelcontextprotocol/protocolVersion"]
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": "tools/list"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta} if meta else {}}
    answer = filled.post("/mcp", json=message, headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, code)
    if code == -32022:
        assert set(STATELESS + WITH_HANDSHAKE) <= set(answer.get_json()["error"]["data"]["supported"])


def test_what_the_transport_refuses(filled: FlaskClient) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert filled.get("/mcp").status_code == 405
    assert filled.delete("/mcp").status_code == 405
    assert filled.post("/mcp", data="x").status_code == 415
    assert filled.post("/mcp", json=ping, headers={"Accept": "text/html"}).status_code == 406
    assert filled.post("/mcp", json=ping, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert filled.post("/mcp", json=ping, headers={"Origin": "null"}).status_code == 403
    assert filled.post("/mcp", json=ping, headers={"Origin": "http://localhost"}).status_code == 200
    big = filled.post("/mcp", data=b" " * 300_000, content_type="application/json")
    assert (big.status_code, big.get_json()["error"]["code"]) == (413, "request_entity_too_large")


def test_searches_by_assistants_are_limited(settings: Settings) -> None:
    limited = create_app(replace(settings, rate_limit="3/minute"))
    client = limited.test_client()
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    statuses = [client.post("/mcp", json=ping).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    closed(limited)


def test_the_command_answers_line_by_line(settings: Settings, app: Flask) -> None:
    """Lines that are no messages are answered, and the next ones too."""
    with app.app_context():
        write_both(db.session())
    ping = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping"})
    lines = [
        "{",
        "",
        "x" * 1_200_000,
        ping,
        json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        ping,
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "mcp"],
        input="\n".join(lines) + "\n",
        cwd=ROOT, env=environment(settings), capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32700, -32600, None, None]
    assert answers[-1] == {"jsonrpc": "2.0", "id": 7, "result": {}}
