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
from indexes.access import set_private
from indexing.documents import NewDocument, write_documents
from indexing.embedding import embed
from models import db
from operations.keys import create_key
from tests.collections import HOUSE, fill, ready_side
from tests.commands import environment
from tests.conftest import Started, closed, settings_for, sqlite_alone
from tests.documents import document, write
from tests.semantic_side import use_semantic
from tests.servers import Server, serving
from web.mcp_messages import STATELESS, WITH_HANDSHAKE
from web.mcp_tools import MOST_CHARACTERS, MOST_HITS, TOOLS

database = sqlite_alone  # what the tools call is tested on both databases

LONG = " ".join(f"word{place}" for place in range(5_000))
DOCUMENTS = (
    document("1", "ספר הבישול", "מתכונים לעוגות ולחמים", "אפייה", language="he"),
    document("2", "Garden book", "roses & herbs", "gardening", "outdoors", language="en"),
    NewDocument("a/b c", "Long book", LONG, ("outdoors",), "en", extra={"author": "Dana", "pages": 320}),
)
JOBS = (
    document("baker", "Baker", "bread", "baking", "early hours"),
    document("gardener", "Gardener", "flowers", "gardening", "pruning", "first aid"),
)
STATELESS_META = {
    "io.modelcontextprotocol/protocolVersion": STATELESS[-1],
    "io.modelcontextprotocol/clientCapabilities": {},
}
Result = TypeVar("Result")


def write_both(session: Session) -> None:
    write(session, *DOCUMENTS, collection="books")
    write(session, *JOBS, collection="jobs")


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


def sent(client: FlaskClient, method: str, *, headers: dict[str, str] | None = None, **params: Any) -> Any:
    """Send a request as clients before 2026 do, and return the answer's JSON."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = client.post("/mcp", json=message, headers=headers)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def called(client: FlaskClient, name: str, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
    """Return what a tool returned, or the text of its refusal."""
    result = sent(client, "tools/call", headers=headers, name=name, arguments=arguments)["result"]
    return result["content"][0]["text"] if result["isError"] else result["structuredContent"]


def test_every_argument_works_as_its_schema_says(filled: FlaskClient) -> None:
    assert called(filled, "search", tags=["outdoors"])["total"] == 2
    assert called(filled, "search", tags=["outdoors"], without_tags=["gardening"])["hits"][0]["id"] == "a/b c"
    assert called(filled, "search", collection="jobs", sort="title", limit=1)["hits"][0]["id"] == "baker"
    assert called(filled, "search", collection="jobs", sort="title", limit=1, page=2)["hits"][0]["id"] == "gardener"
    assert called(filled, "search", language="he")["total"] == 1
    assert called(filled, "search", query="author:Dana")["total"] == 1
    assert called(filled, "search", query="roses", mode="tags")["total"] == 0


def test_an_answer_says_why_and_what_was_searched_instead(filled: FlaskClient) -> None:
    found = called(filled, "search", query="gardeming", mode="text")
    assert found["notes"] == ["No document has 'gardeming'; searched in its place: gardening, garden."]
    [book] = [hit for hit in found["hits"] if hit["id"] == "2"]
    assert book["why"]["words"]


def test_a_long_text_comes_in_parts(filled: FlaskClient) -> None:
    parts, start = [], 0
    while True:
        part = called(filled, "read_document", id="a/b c", start=start, characters=MOST_CHARACTERS)
        assert len(part["body"]) <= MOST_CHARACTERS
        parts.append(part["body"])
        if (start := part.get("continues_at")) is None:
            break
    assert "".join(parts) == LONG
    assert len(parts) == -(-len(LONG) // MOST_CHARACTERS)
    assert part["other_columns"] == {"author": "Dana", "pages": "320"}
    assert part["body_characters"] == len(LONG)


def test_similar_documents_are_found_by_their_embeddings(app: Flask, filled: FlaskClient, session: Session) -> None:
    assert called(filled, "similar", id="2")["notes"] == ["Semantic search is turned off on this site."]
    use_semantic(app, fill(session))
    write_documents(session, "house", [replace(HOUSE[0], own_id="twin")])
    encoder = ready_side().lazy.encoder
    assert encoder
    embed(session, encoder)
    hits = called(filled, "similar", id="rent", collection="house", limit=1)["hits"]
    assert [hit["id"] for hit in hits] == ["twin"]
    assert hits[0]["why"]["semantic"] > 0.9


def test_a_job_is_compared_with_skills(filled: FlaskClient) -> None:
    found = called(filled, "match_skills", skills=["gardening", "singing"], job_id="gardener")
    assert found["job"]["title"] == "Gardener"
    assert [answer["skill"] for answer in found["matched"]] == ["gardening"]
    assert sorted(found["missing"]) == ["first aid", "pruning"]
    assert found["other_skills"] == ["singing"]
    by_text = called(filled, "match_skills", text="I did baking for years", limit=1)
    assert (by_text["found_in_text"], by_text["jobs"][0]["id"]) == (["baking"], "baker")


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("search", {}, "needs a query"),
        ("search", {"query": 5}, "query must be a string"),
        ("search", {"query": "x" * 1_001}, "1001 characters"),
        ("search", {"query": "x", "mode": "best"}, "one of hybrid, text, tags, semantic"),
        ("search", {"query": "x", "limit": True}, "whole number"),
        ("search", {"query": "x", "limit": 2.5}, "whole number"),
        ("search", {"query": "x", "page": 0}, "whole number"),
        ("search", {"query": "x", "tags": "a"}, "list of strings"),
        ("search", {"query": "x", "tags": [1]}, "list of strings"),
        ("search", {"query": "x", "tags": ["a"] * 21}, "at most 20"),
        ("search", {"q": "x"}, "does not take q"),
        ("read_document", {}, "needs id"),
        ("read_document", {"id": " "}, "must not be empty"),
        ("read_document", {"id": "none"}, "There is no document 'none'"),
        ("read_document", {"id": "1", "collection": "jobs"}, "in the collection 'jobs'"),
        ("similar", {"id": "none"}, "There is no document"),
        ("match_skills", {}, "needs skills or a text"),
        ("match_skills", {"skills": ["a"], "collection": "none"}, "There is no collection 'none'"),
        ("match_skills", {"skills": ["a"], "job_id": "none"}, "There is no document 'none'"),
        ("match_skills", {"text": "a", "job_id": "baker"}, "give skills, not a text"),
        ("match_skills", {"skills": ["x" * 300]}, "longer than"),
    ],
)
def test_a_wrong_call_is_told_what_to_do(filled: FlaskClient, name: str, arguments: dict[str, Any], said: str) -> None:
    refusal = called(filled, name, **arguments)
    assert isinstance(refusal, str)
    assert said in refusal


def test_arguments_that_are_null_take_their_default(filled: FlaskClient) -> None:
    assert called(filled, "search", query="roses", tags=None, collection=None, limit=3.0)["total"] == 1


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


def test_private_collections_and_scopes_hold(app: Flask, filled: FlaskClient, session: Session) -> None:
    set_private(session, "jobs", True)
    session.commit()
    key = {"Authorization": f"Bearer {create_key(session, 'k', ('read',), collections=('jobs',))[1]}"}
    assert called(filled, "list_collections")["collections"] == [{"name": "books", "documents": 3}]
    assert called(filled, "search", query="bread")["total"] == 0
    assert "no document" in called(filled, "read_document", id="baker")
    assert "no document" in called(filled, "similar", id="baker", collection="jobs")
    assert "no collection" in called(filled, "match_skills", skills=["baking"])
    assert called(filled, "read_document", headers=key, id="baker")["body"] == "bread"
    wrong = filled.post("/mcp", json={}, headers={"Authorization": "Bearer matmon_1_wrong"})
    assert wrong.status_code == 401
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


def test_a_private_site_asks_for_a_key_with_the_scope(settings: Settings) -> None:
    private = create_app(replace(settings, access="private"))
    with private.app_context():
        write_both(db.session())
        keys = {name: create_key(db.session(), name, scopes)[1] for name, scopes in (
            ("reads", ("read",)), ("matches", ("match",)), ("both", ("read", "match")),
        )}  # fmt: skip
    client = private.test_client()
    headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
    assert client.post("/mcp", json={}).status_code == 401
    assert client.post("/mcp", json={}, headers=headers["matches"]).status_code == 403
    tools = {
        name: [tool["name"] for tool in sent(client, "tools/list", headers=headers[name])["result"]["tools"]]
        for name in ("reads", "both")
    }
    assert set(tools["both"]) - set(tools["reads"]) == {"match_skills"}
    refused = sent(client, "tools/call", headers=headers["reads"], name="match_skills", arguments={"skills": ["a"]})
    assert refused["error"]["code"] == -32602
    closed(private)


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
