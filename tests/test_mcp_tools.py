"""The tools for assistants: their arguments, what they return, what they refuse in words, and who may use them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from config import Settings
from indexes.access import set_private
from indexing.documents import write_documents
from indexing.embedding import embed
from models import db
from operations.keys import create_key
from tests.collections import HOUSE, fill, ready_side
from tests.conftest import closed, settings_for, sqlite_alone
from tests.mcp_calls import LONG, called, sent, write_both
from tests.semantic_side import use_semantic
from web.mcp_tools import MOST_CHARACTERS

database = sqlite_alone  # what the tools call is tested on both databases


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_for(database, tmp_path, rate_limit="100000/minute")


@pytest.fixture
def filled(app: Flask, session: Session) -> FlaskClient:
    write_both(session)
    return app.test_client()


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
