"""The JSON API on every database: searches, the life of a document, tokens, what is refused and in which words."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from models import db
from tests.collections import fill
from tests.conftest import settings_for
from tests.described import check
from tests.semantic_side import use_semantic

TOKEN = {"Authorization": "Bearer a token of the tests"}
UNUSUAL = (
    "חוק/1951/שעות עבודה", "two words", "100%", "%D7%90", "a//b", "https://example.org/a?b=c#d", "q?x", "a#b", "a+b",
    "..", "x.json", "שׁ\u200fלום", "e\u0301", "'; DROP TABLE document; --", "🙂", "a\\b", "tab\there", "x" * 255,
)  # fmt: skip


BAD_BODIES = (
    ("{", 400, "bad_json"),
    ("", 400, "bad_json"),
    ("[]", 400, "bad_json"),
    ("null", 400, "bad_json"),
    ('{"title": "\\ud800"}', 400, "bad_json"),
    ('{"title": "א", "size": NaN}', 400, "bad_json"),
    ('{"title": "א", "size": 1e999}', 400, "bad_json"),
    ('{"x":' * 100_000, 400, "bad_json"),
    ("[" * 100_000 + "]" * 100_000, 400, "bad_json"),
    ("{}", 422, "bad_document"),
    ('{"title": " ", "body": "\\u0000"}', 422, "bad_document"),
    ('{"title": "א", "extra": []}', 422, "bad_document"),
    ('{"title": "א", "extra": "x"}', 422, "bad_document"),
    ('{"title": "א", "id": "' + "x" * 256 + '"}', 422, "bad_document"),
    ('{"title": "א", "tags": [' + ",".join(f'"{n}"' for n in range(201)) + "]}", 422, "bad_document"),
    ('{"title": "א", "tags": "' + "x" * 201 + '"}', 422, "bad_document"),
    ('{"body": "' + "א" * 600_000 + '"}', 413, "bad_document"),
    ('{"title": "' + "x" * 5_000_000 + '"}', 413, "request_entity_too_large"),
)


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_for(database, tmp_path, rate_limit="100000/minute")


@pytest.fixture
def filled(app: Flask) -> Flask:
    """The app over the collection `house`, with a model that is ready."""
    with app.app_context():
        use_semantic(app, fill(db.session()))
    return app


@pytest.fixture
def api(filled: Flask) -> FlaskClient:
    return filled.test_client()


def at(own_id: str) -> str:
    return f"/api/documents/{quote(own_id)}"


def search(client: FlaskClient, **asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = check(client.get("/api/search", query_string=asked), "search", 200)
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in found["hits"]]


def test_words_find_the_document_in_every_mode(api: FlaskClient) -> None:
    for mode in ("hybrid", "text", "semantic"):
        found = search(api, q="לחתום על חוזה שכירות", mode=mode)
        assert ids(found)[0] == "rent"
        assert (found["mode"], found["semantic"]) == (mode, {"state": "ready", "model": "hashed"})
        why = found["hits"][0]["why"]
        assert (why["text"] is not None) == (mode != "semantic")
        assert (why["semantic"] is not None) == (mode != "text")
        assert (why["passage"] is not None) == (mode != "text")
        assert "שכירות" in why["words"]


def test_tags_find_their_documents_and_say_which(api: FlaskClient) -> None:
    found = search(api, q="זכויות", mode="tags")
    assert sorted(ids(found)) == ["rent", "union"]
    assert [hit["why"]["tags"] for hit in found["hits"]] == [[{"tag": "זכויות", "score": 1.0}]] * 2
    assert {"tag": "דיור", "count": 1} in found["facets"]


def test_filters_narrow_and_an_unknown_one_gives_nothing(api: FlaskClient) -> None:
    assert ids(search(api, tag=["זכויות", "דיור"])) == ["rent"]
    assert ids(search(api, tag="זכויות", not_tag="דיור")) == ["union"]
    assert sorted(ids(search(api, language="en"))) == ["bread", "cache"]
    assert len(ids(search(api, collection="house"))) == 5
    assert ids(search(api, collection="nowhere", q="חוזה")) == ids(search(api, tag="אין כזו")) == []


def test_pages_part_the_hits_and_one_beyond_the_end_is_empty(api: FlaskClient) -> None:
    pages = [search(api, sort="title", limit=2, page=page) for page in (1, 2, 3, 4)]
    assert [len(page["hits"]) for page in pages] == [2, 2, 1, 0]
    assert len({one for page in pages for one in ids(page)}) == 5
    assert {page["total"] for page in pages} == {5}
    assert pages[0]["collection"] is None


def test_hebrew_is_sent_as_hebrew(api: FlaskClient) -> None:
    assert "זכויות עובדים" in api.get("/api/search?q=זכויות").get_data(as_text=True)


def test_any_id_is_an_address(client: FlaskClient) -> None:
    for own_id in UNUSUAL:
        stored = check(client.put(at(own_id), json={"title": "מגילה"}, headers=TOKEN), "replaceDocument", 201)
        assert stored["id"] == own_id
        assert check(client.get(at(own_id)), "document", 200) == stored
        assert ids(search(client, q="מגילה")) == [own_id]
        assert check(client.get(at(own_id) + "/similar"), "similarDocuments", 200)["hits"] == []
        assert client.get(f"/documents/{quote(own_id)}").status_code == 200
        check(client.delete(at(own_id), headers=TOKEN), "deleteDocument", 204)
        check(client.get(at(own_id)), "document", 404)


def test_a_document_lives_from_its_creation_to_its_end(client: FlaskClient) -> None:
    given = {"id": "1", "title": "עפיפון", "body": "חוט ובד ורוח.", "tags": "משחק; רוח", "colour": "אדום"}
    new = check(client.post("/api/documents", json=given, headers=TOKEN), "createDocument", 201)
    assert (new["tags"], new["extra"], new["language"]) == (["משחק", "רוח"], {"colour": "אדום"}, "he")
    assert ids(search(client, q="עפיפון")) == ids(search(client, tag="רוח")) == ["1"]

    changed = {"title": "סביבון", "description": "עץ ועופרת.", "skills": ["חנוכה"]}
    put = check(client.put(at("1"), json=changed, headers=TOKEN), "replaceDocument", 200)
    assert (put["body"], put["tags"], put["extra"]) == ("עץ ועופרת.", ["חנוכה"], {})
    assert put["added_at"] == new["added_at"]
    assert ids(search(client, q="עפיפון", mode="text")) == ids(search(client, tag="רוח")) == []
    assert ids(search(client, q="סביבון")) == ids(search(client, tag="חנוכה")) == ["1"]

    check(client.delete(at("1"), headers=TOKEN), "deleteDocument", 204)
    assert ids(search(client, q="סביבון")) == ids(search(client, tag="חנוכה")) == []
    check(client.get(at("1")), "document", 404)
    check(client.delete(at("1"), headers=TOKEN), "deleteDocument", 404)
    assert check(client.get("/api/tags"), "tags", 200) == {"tags": [], "total": 0, "total_is_exact": True}


def test_what_was_read_can_be_sent_back_and_changes_nothing(api: FlaskClient) -> None:
    given = {"title": "א", "language": "he", "extra": {"title": "ב", "n": 1}}
    api.put(at("x") + "?collection=house", json=given, headers=TOKEN)
    for own_id in ("x", "rent"):
        read = check(api.get(at(own_id)), "document", 200)
        before = api.get("/api/stats").get_json()["version"]
        assert check(api.put(at(own_id), json=read, headers=TOKEN), "replaceDocument", 200) == read
        assert api.get("/api/stats").get_json()["version"] == before
    assert api.get(at("x")).get_json()["extra"] == {"title": "ב", "n": 1}


def test_the_same_id_again_replaces_and_none_follows_from_the_text(client: FlaskClient) -> None:
    first = check(client.post("/api/documents", json={"title": "א"}, headers=TOKEN), "createDocument", 201)
    again = check(client.post("/api/documents", json={"title": "א"}, headers=TOKEN), "createDocument", 200)
    assert again == first
    other = {"id": first["id"], "title": "ב"}
    assert check(client.post("/api/documents", json=other, headers=TOKEN), "createDocument", 200)["title"] == "ב"
    assert search(client)["total"] == 1


def test_a_collection_is_named_by_the_address_then_by_the_body(client: FlaskClient) -> None:
    body = {"title": "א", "collection": " ב\0ית "}
    assert client.put(at("1"), json=body, headers=TOKEN).get_json()["collection"] == "ב ית"
    named = client.put(at("1") + "?collection=רחוב", json=body, headers=TOKEN).get_json()
    assert (named["collection"], named["extra"]) == ("רחוב", {})
    assert client.put(at("1"), json={"title": "א"}, headers=TOKEN).get_json()["collection"] == "documents"
    assert search(client)["total"] == 3
    client.delete(at("1") + "?collection=רחוב", headers=TOKEN)
    assert client.get(at("1") + "?collection=רחוב").status_code == 404
    assert client.get(at("1")).status_code == 200


def test_what_is_no_document_is_refused_and_nothing_stored(client: FlaskClient) -> None:
    for body, status, code in BAD_BODIES:
        answer = client.post("/api/documents", data=body.encode(), content_type="application/json", headers=TOKEN)
        assert check(answer, "createDocument", status)["error"]["code"] == code, body[:100]
    assert search(client)["total"] == 0


def test_a_document_of_almost_a_megabyte_is_taken(client: FlaskClient) -> None:
    body = "מילה " * 110_000
    check(client.post("/api/documents", json={"body": body}, headers=TOKEN), "createDocument", 201)


def test_nulls_inside_other_fields_are_kept_or_dropped_but_never_break(client: FlaskClient) -> None:
    given = {"id": "a\0b", "title": "א\0ב", "tags": ["ג\0ד", None, 5], "extra": {"\0": "\0"}, "url": None}
    stored = check(client.post("/api/documents", json=given, headers=TOKEN), "createDocument", 201)
    assert (stored["id"], stored["title"], stored["tags"]) == ("ab", "אב", ["גד", "5"])


def test_suggestions_are_tags_then_titles(api: FlaskClient) -> None:
    found = check(api.get("/api/suggest?q=זכויות"), "suggest", 200)["suggestions"]
    assert [(one["text"], one["kind"], one["count"]) for one in found[:2]] == [
        ("זכויות", "tag", 2), ("זכויות עובדים", "title", None),
    ]  # fmt: skip
    assert check(api.get("/api/suggest?q=sourd"), "suggest", 200)["suggestions"][0]["kind"] == "title"
    assert [api.get(one["address"]).status_code for one in found] == [200] * len(found)
    assert check(api.get("/api/suggest?q=patience"), "suggest", 200)["suggestions"] == []  # only in a body
    for short in ("", "ז", "זּ", " a ", "\0\0"):
        assert check(api.get("/api/suggest", query_string={"q": short}), "suggest", 200)["suggestions"] == []


def test_tags_are_listed_by_count_prefix_page_and_collection(api: FlaskClient) -> None:
    api.put(at("1") + "?collection=other", json={"title": "א", "tags": ["זכוכית", "בישול"]}, headers=TOKEN)

    def tags(**asked: Any) -> tuple[list[tuple[str, int]], int]:
        found = check(api.get("/api/tags", query_string=asked), "tags", 200)
        return [(one["tag"], one["count"]) for one in found["tags"]], found["total"]

    assert tags(prefix="זכ") == ([("זכויות", 2), ("זכוכית", 1)], 2)
    assert tags(prefix="BAK") == ([("baking", 1)], 1)
    assert tags(collection="other") == ([("בישול", 1), ("זכוכית", 1)], 2)
    assert tags(prefix="אין") == tags(prefix="a\0b") == tags(collection="\0") == ([], 0)
    every, total = tags()
    assert total == len(every) == 7
    assert [one for page in (1, 2, 3, 4) for one in tags(limit=3, page=page)[0]] == every
    assert all(earlier[1] >= later[1] for earlier, later in pairwise(every))


def test_similar_documents_are_the_nearest_and_never_the_document_itself(api: FlaskClient) -> None:
    near = {"id": "lease", "title": "חוזה שכירות לדירה", "body": "מה לבדוק לפני שחותמים."}
    api.post("/api/documents?collection=house", json=near, headers=TOKEN)
    with api.application.app_context():
        fill(db.session(), [])
    found = check(api.get(at("lease") + "/similar?limit=1"), "similarDocuments", 200)
    assert ids(found) == ["rent"]
    assert found["hits"][0]["why"]["text"] is None
    assert "lease" not in ids(check(api.get(at("lease") + "/similar"), "similarDocuments", 200))


def test_without_a_model_meaning_finds_nothing_and_says_so(client: FlaskClient) -> None:
    client.put(at("1"), json={"title": "עפיפון"}, headers=TOKEN)
    found = search(client, q="עפיפון", mode="semantic")
    assert (found["hits"], found["semantic"]) == ([], {"state": "off", "model": "none"})
    assert ids(search(client, q="עפיפון")) == ["1"]


def test_figures_follow_the_documents(api: FlaskClient) -> None:
    assert check(api.get("/api/stats", headers=TOKEN), "stats", 200)["documents_with_embeddings"] == 5
    api.put(at("new"), json={"title": "חדש", "tags": ["טרי"]}, headers=TOKEN)
    stats, health = check(api.get("/api/stats", headers=TOKEN), "stats", 200), check(api.get("/health"), "health", 200)
    assert (stats["documents"], stats["documents_waiting"], stats["tags_waiting"]) == (6, 1, 1)
    assert {one["name"]: one["documents"] for one in stats["collections"]} == {"documents": 1, "house": 5}
    assert (health["documents"], health["documents_with_embeddings"]) == (6, 5)
    assert stats["models"][0]["name"] == health["model"]["name"] == "hashed"
