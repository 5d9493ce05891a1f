"""The API's description: valid, complete, and true of every answer it names."""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from sqlalchemy import update
from werkzeug.test import TestResponse

from app import create_app
from config import ROOT
from indexing.documents import NewDocument, write_documents
from indexing.layout import Options
from jobs.imports import new_import
from models import Base, Document, ImportChange, db, document_number
from operations.keys import create_key
from runtime import runtime_of
from tests.calls import TOKEN, Call, delete, get, post, put, too_often
from tests.collections import fill
from tests.conftest import closed, settings_for, sqlite_alone
from tests.described import DOCUMENT, OPERATIONS, check, faults, resolved
from tests.screening_calls import SCREENING_CALLS, WITHOUT_SCREENINGS, kept_screenings
from tests.semantic_side import use_semantic
from tests.servers import serving
from web.rate_limits import DEFAULT_FACTOR

DESCRIBED = [(one.id, int(status)) for one in OPERATIONS.values() for status in one.responses]
# Of every operation, and tested for all of them together.
COMMON = {405, 414}
GOOD = {"id": "tea", "title": "תה", "tags": ["שתייה"]}
LONG = {"title": "long", "body": "x" * 1_100_000}


database = sqlite_alone  # shapes do not depend on the database


@pytest.fixture
def api(database: str, tmp_path: Path) -> Iterator[Flask]:
    """The app over a small collection whose meaning can be searched, with one import that waits."""
    app = create_app(settings_for(database, tmp_path, rate_limit="8/minute"))
    with app.app_context():
        use_semantic(app, fill(db.session()))
        twins = [NewDocument(name, "Twins", "") for name in ("one", "two")]
        write_documents(db.session(), "twins", twins)
        new_import(db.session(), "waits.csv", Options()).id = 7
        queued = new_import(db.session(), "queued.csv", Options())
        queued.id, queued.state = 9, "queued"
        over = new_import(db.session(), "over.csv", Options())
        over.id, over.state = 11, "done"
        db.session.add(ImportChange(job_id=11, document_id=1, after=b"x", before=None))
        db.session.commit()
        kept_screenings(db.session(), runtime_of(app).semantic)
    yield app
    closed(app)


def searched(then: str) -> Call:
    """Ask by meaning first, so that there is a model, an index, a search and a sample to tell of."""

    def call(client: FlaskClient) -> TestResponse:
        watch = runtime_of(client.application).watch
        client.get("/api/search?q=good+bread&mode=semantic")
        watch.history.add(watch.sample())
        return client.get(then)

    return call


def keys_meet(then: Call) -> Call:
    """Make a stored document the owner of another id's key: such ids are expected once in billions."""

    def call(client: FlaskClient) -> TestResponse:
        with client.application.app_context():
            owner = update(Document).where(Document.id == document_number("house", "rent"))
            db.session.execute(owner.values(own_id="another"))
            db.session.commit()
        return then(client)

    return call


def keys_meet_similar(client: FlaskClient) -> TestResponse:
    """Make a stored document the owner of the key of an id that ends in /similar."""
    with client.application.app_context():
        write_documents(db.session(), "house", [NewDocument("rent/similar", "Rent", "")])
        owner = update(Document).where(Document.id == document_number("house", "rent/similar"))
        db.session.execute(owner.values(own_id="another"))
        db.session.commit()
    return client.put("/api/documents/rent/similar?collection=house", json=GOOD, headers=TOKEN)


def upload(text: str = "title\nתה\n", name: str = "a.csv", **headers: str) -> Call:
    return lambda client: client.post("/api/import", data={"file": (io.BytesIO(text.encode()), name)}, headers=headers)


def too_large(address: str) -> Call:
    """Announce a body of more than may come; nothing is sent."""
    announced = {"CONTENT_LENGTH": str(2**29)}
    kind = "multipart/form-data; boundary=x"
    return lambda client: client.post(address, headers=TOKEN, content_type=kind, environ_overrides=announced)


CALLS: dict[tuple[str, int], list[Call]] = {
    ("search", 200): [
        get("/api/search"),
        get("/api/search?q=זכויות+עובדים&tag=זכויות&limit=1&page=2&sort=newest&collection=house&language=he"),
        get("/api/search?q=good+bread&mode=semantic"),
        get("/api/search?q=זכויות&mode=tags"),
        get("/api/search?q=bread&mode=text"),
    ],
    ("search", 422): [get("/api/search?mode=x"), get("/api/search?page=0"), get("/api/search?limit=101&q=מרק")],
    ("search", 429): [too_often("/api/search?q=a")],
    ("suggest", 200): [get("/api/suggest?q=זכו"), get("/api/suggest")],
    ("suggest", 429): [too_often("/api/suggest?q=ab")],
    ("collections", 200): [get("/api/collections")],
    ("tags", 200): [get("/api/tags"), get("/api/tags?prefix=זכ&collection=house&limit=1&page=2")],
    ("tags", 422): [get("/api/tags?limit=501"), get("/api/tags?page=x")],
    ("recommend", 200): [
        post("/api/recommend", json={"skills": ["זכויות", "baking (2 years)"], "collection": "house"}),
        post("/api/recommend", json={"text": "good bread and baking", "collection": "house", "limit": 1}),
        post("/api/recommend", json={"collection": "house"}),
    ],
    ("compare", 200): [
        post("/api/compare", json={"skills": ["זכויות"], "job_ids": ["rent", "bread"], "jobs": "house"}),
        post("/api/compare", json={"job_id": "rent", "profile_ids": ["bread"], "jobs": "house", "profiles": "house"}),
    ],
    ("compare", 400): [post("/api/compare", data="[", content_type="application/json")],
    ("compare", 404): [post("/api/compare", json={"skills": ["a"], "job_ids": ["nothing"]})],
    ("compare", 413): [post("/api/compare", json={"job_id": "x" * 5_000_000})],
    ("compare", 415): [post("/api/compare", data="skills=a")],
    ("compare", 422): [
        post("/api/compare", json={"skills": ["a"]}),
        post("/api/compare", json={"skills": ["a"] * 201, "job_ids": ["rent"], "jobs": "house"}),
        post("/api/compare", json={"job_ids": [str(n) for n in range(11)], "jobs": "house"}),
    ],
    ("compare", 429): [too_often("/api/search?q=a", post("/api/compare", json={"job_ids": ["rent"]}))],
    ("recommend", 400): [post("/api/recommend", data="[", content_type="application/json")],
    ("recommend", 404): [post("/api/recommend", json={"skills": ["a"]})],
    ("recommend", 413): [post("/api/recommend", json={"text": "x" * 100_001, "collection": "house"})],
    ("recommend", 415): [post("/api/recommend", data="skills=a")],
    ("recommend", 422): [
        post("/api/recommend", json={"skills": ["a"] * 201}),
        post("/api/recommend", json={"skills": "a"}),
        post("/api/recommend", json={"text": 1}),
        post("/api/recommend", json={"limit": 101}),
        post("/api/recommend", json={"limit": True}),
    ],
    ("recommend", 429): [lambda client: [client.post("/api/recommend", json={}) for _ in range(9)][-1]],
    ("skillGap", 200): [
        post("/api/skill-gap", json={"document_id": "rent", "collection": "house", "skills": ["דיור", "baking"]}),
        post("/api/skill-gap", json={"title": "SOURDOUGH bread", "collection": "house"}),
    ],
    ("skillGap", 400): [post("/api/skill-gap", json=[])],
    ("skillGap", 404): [
        post("/api/skill-gap", json={"document_id": "rent"}),
        post("/api/skill-gap", json={"title": "nothing", "collection": "house"}),
    ],
    ("skillGap", 409): [post("/api/skill-gap", json={"title": "twins", "collection": "twins"})],
    ("skillGap", 413): [post("/api/skill-gap", json={"title": "x" * 5_000_000})],
    ("skillGap", 415): [post("/api/skill-gap", data="x")],
    ("skillGap", 422): [
        post("/api/skill-gap", json={}),
        post("/api/skill-gap", json={"document_id": "rent", "collection": "house", "skills": ["a" * 201]}),
    ],
    ("skillGap", 429): [lambda client: [client.post("/api/skill-gap", json={}) for _ in range(9)][-1]],
    ("createDocument", 201): [post("/api/documents", json=GOOD, headers=TOKEN)],
    ("createDocument", 200): [
        post("/api/documents?collection=house", json={"id": "rent", "body": "דירה"}, headers=TOKEN)
    ],
    ("createDocument", 400): [post("/api/documents", data="[", content_type="application/json", headers=TOKEN)],
    ("createDocument", 401): [post("/api/documents", json=GOOD)],
    ("createDocument", 409): [
        keys_meet(post("/api/documents?collection=house", json=GOOD | {"id": "rent"}, headers=TOKEN))
    ],
    ("createDocument", 413): [post("/api/documents", json=LONG, headers=TOKEN)],
    ("createDocument", 415): [post("/api/documents", data="title=a", headers=TOKEN)],
    ("createDocument", 422): [
        post("/api/documents", json={"id": "x"}, headers=TOKEN),
        post("/api/documents", json=GOOD | {"tags": {}}, headers=TOKEN),
        post("/api/documents", json=GOOD | {"skills": [True]}, headers=TOKEN),
        post("/api/documents", json=GOOD | {"tags": ["x" * 201]}, headers=TOKEN),
        post("/api/documents", json=GOOD | {"skills": ["x"] * 201}, headers=TOKEN),
        post("/api/documents", json=GOOD | {"license": []}, headers=TOKEN),
        post("/api/documents", json=GOOD | {"id": False}, headers=TOKEN),
    ],
    ("document", 200): [get("/api/documents/rent"), get("/api/documents/rent?collection=house")],
    ("document", 422): [get("/api/documents/rent?collection=" + "x" * 65)],
    ("deleteDocument", 422): [delete("/api/documents/rent?collection=" + "x" * 65, headers=TOKEN)],
    ("deleteSimilar", 422): [delete("/api/documents/rent/similar?collection=" + "x" * 65, headers=TOKEN)],
    ("replaceSimilar", 201): [put("/api/documents/א/similar", json=GOOD, headers=TOKEN)],
    ("replaceSimilar", 200): [
        lambda client: [client.put("/api/documents/x/similar", json=GOOD, headers=TOKEN) for _ in range(2)][-1]
    ],
    ("replaceSimilar", 400): [put("/api/documents/x/similar", json=[GOOD], headers=TOKEN)],
    ("replaceSimilar", 401): [put("/api/documents/x/similar", json=GOOD)],
    ("replaceSimilar", 409): [keys_meet_similar],
    ("replaceSimilar", 413): [put("/api/documents/x/similar", json=LONG, headers=TOKEN)],
    ("replaceSimilar", 415): [put("/api/documents/x/similar", data="a", content_type="text/plain", headers=TOKEN)],
    ("replaceSimilar", 422): [put("/api/documents/x/similar", json=GOOD | {"extra": []}, headers=TOKEN)],
    ("deleteSimilar", 204): [
        lambda client: [
            client.put("/api/documents/x/similar", json=GOOD, headers=TOKEN),
            client.delete("/api/documents/x/similar", headers=TOKEN),
        ][-1]
    ],
    ("deleteSimilar", 401): [delete("/api/documents/x/similar")],
    ("deleteSimilar", 404): [delete("/api/documents/x/similar", headers=TOKEN)],
    ("document", 404): [get("/api/documents/nothing"), get("/api/documents/rent?collection=elsewhere")],
    ("replaceDocument", 201): [put("/api/documents/א/ב", json=GOOD, headers=TOKEN)],
    ("replaceDocument", 200): [put("/api/documents/rent?collection=house", json=GOOD, headers=TOKEN)],
    ("replaceDocument", 400): [put("/api/documents/x", json=[GOOD], headers=TOKEN)],
    ("replaceDocument", 401): [put("/api/documents/x", json=GOOD, headers={"Authorization": "Bearer wrong"})],
    ("replaceDocument", 409): [keys_meet(put("/api/documents/rent?collection=house", json=GOOD, headers=TOKEN))],
    ("replaceDocument", 413): [put("/api/documents/x", json=LONG | {"body": "x" * 5_000_000}, headers=TOKEN)],
    ("replaceDocument", 415): [put("/api/documents/x", data="a", content_type="text/plain", headers=TOKEN)],
    ("replaceDocument", 422): [put("/api/documents/x", json=GOOD | {"extra": []}, headers=TOKEN)],
    ("deleteDocument", 204): [delete("/api/documents/rent", headers=TOKEN)],
    ("deleteDocument", 401): [delete("/api/documents/rent")],
    ("deleteDocument", 404): [delete("/api/documents/nothing", headers=TOKEN)],
    ("similarDocuments", 200): [get("/api/documents/rent/similar"), get("/api/documents/bread/similar?limit=1")],
    ("similarDocuments", 404): [get("/api/documents/nothing/similar")],
    ("similarDocuments", 422): [get("/api/documents/rent/similar?limit=21")],
    ("similarDocuments", 429): [too_often("/api/documents/rent/similar")],
    ("documentById", 200): [get("/api/documents?id=rent"), get("/api/documents?id=rent&collection=house")],
    ("documentById", 404): [get("/api/documents?id=nothing")],
    ("documentById", 422): [get("/api/documents"), get("/api/documents?id=%20")],
    ("replaceDocumentById", 201): [put("/api/documents?id=../a", json=GOOD, headers=TOKEN)],
    ("replaceDocumentById", 200): [put("/api/documents?id=rent&collection=house", json=GOOD, headers=TOKEN)],
    ("replaceDocumentById", 400): [put("/api/documents?id=x", json=[GOOD], headers=TOKEN)],
    ("replaceDocumentById", 401): [put("/api/documents?id=x", json=GOOD)],
    ("replaceDocumentById", 409): [keys_meet(put("/api/documents?id=rent&collection=house", json=GOOD, headers=TOKEN))],
    ("replaceDocumentById", 413): [put("/api/documents?id=x", json=LONG, headers=TOKEN)],
    ("replaceDocumentById", 415): [put("/api/documents?id=x", data="a", content_type="text/plain", headers=TOKEN)],
    ("replaceDocumentById", 422): [
        put("/api/documents?id=x", json=GOOD | {"extra": []}, headers=TOKEN),
        put("/api/documents", json=GOOD, headers=TOKEN),
    ],
    ("deleteDocumentById", 204): [delete("/api/documents?id=rent", headers=TOKEN)],
    ("deleteDocumentById", 401): [delete("/api/documents?id=rent")],
    ("deleteDocumentById", 404): [delete("/api/documents?id=nothing", headers=TOKEN)],
    ("deleteDocumentById", 422): [delete("/api/documents", headers=TOKEN)],
    ("similarDocumentsById", 200): [get("/api/similar?id=rent")],
    ("similarDocumentsById", 404): [get("/api/similar?id=nothing")],
    ("similarDocumentsById", 422): [get("/api/similar?id=rent&limit=21"), get("/api/similar")],
    ("similarDocumentsById", 429): [too_often("/api/similar?id=rent")],
    ("importFile", 202): [upload(**TOKEN)],
    ("importFile", 401): [upload()],
    ("importFile", 413): [too_large("/api/import")],
    ("importFile", 422): [upload("", **TOKEN), post("/api/import", headers=TOKEN), upload("x", "a.exe", **TOKEN)],
    ("importState", 200): [get("/api/import/7", headers=TOKEN)],
    ("cancelImport", 200): [post("/api/import/9/cancel", headers=TOKEN)],
    ("cancelImport", 401): [post("/api/import/9/cancel")],
    ("cancelImport", 404): [post("/api/import/8/cancel", headers=TOKEN)],
    ("cancelImport", 409): [post("/api/import/7/cancel", headers=TOKEN)],
    ("undoImport", 202): [post("/api/import/11/undo", headers=TOKEN)],
    ("undoImport", 401): [post("/api/import/11/undo")],
    ("undoImport", 404): [post("/api/import/8/undo", headers=TOKEN)],
    ("undoImport", 409): [post("/api/import/7/undo", headers=TOKEN)],
    ("importState", 401): [get("/api/import/7")],
    ("importState", 404): [get("/api/import/8", headers=TOKEN), get(f"/api/import/{2**70}", headers=TOKEN)],
    ("stats", 200): [get("/api/stats")],
    ("description", 200): [get("/api/openapi.json")],
    ("health", 200): [get("/health")],
    ("alive", 200): [get("/livez")],
    ("monitoringHealth", 200): [get("/api/monitoring/health"), searched("/api/monitoring/health")],
    ("monitoringMemory", 200): [get("/api/monitoring/memory"), searched("/api/monitoring/memory?samples=240")],
    ("monitoringMemory", 422): [get("/api/monitoring/memory?samples=241"), get("/api/monitoring/memory?samples=x")],
    ("metrics", 200): [get("/metrics"), searched("/metrics")],
}
CALLS |= SCREENING_CALLS


def on_a_private_site(then: Call, *scopes: str) -> Call:
    """Ask a private site, without a key or with one that has these scopes."""

    def call(client: FlaskClient) -> TestResponse:
        runtime = runtime_of(client.application)
        runtime.settings = replace(runtime.settings, access="private")
        with client.application.app_context():
            key = create_key(db.session(), "a key", scopes)[1] if scopes else ""
        if key:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return then(client)

    return call


def without_token(operation: str) -> Call:
    """Return a call of an operation that says nothing of who asks."""
    one = OPERATIONS[operation]
    address = re.sub(r"{(\w+)}", lambda match: "7" if match[1] == "number" else "rent", one.path)
    return lambda client: client.open(address, method=one.method.upper(), json={} if one.body else None)


MATCHING = {"recommend", "skillGap", "compare"} | {name for name in OPERATIONS if "Screening" in name}
MATCHING |= {"screenings", "screening", "decide", "decideById"}
for _operation, _status in DESCRIBED:
    if (_operation, _status) not in CALLS and _status in (401, 403):
        _scopes = () if _status == 401 else ("match",) if _operation not in MATCHING else ("read",)
        CALLS[_operation, _status] = [on_a_private_site(without_token(_operation), *_scopes)]
WITHOUT_TABLES: dict[str, Call] = {
    "search": get("/api/search?q=א"),
    "suggest": get("/api/suggest?q=זכו"),
    "collections": get("/api/collections"),
    "tags": get("/api/tags"),
    "recommend": post("/api/recommend", json={"skills": ["a"]}),
    "skillGap": post("/api/skill-gap", json={"document_id": "rent"}),
    "compare": post("/api/compare", json={"skills": ["a"], "job_ids": ["rent"]}),
    "createDocument": post("/api/documents", json=GOOD, headers=TOKEN),
    "document": get("/api/documents/rent"),
    "replaceDocument": put("/api/documents/rent", json=GOOD, headers=TOKEN),
    "deleteDocument": delete("/api/documents/rent", headers=TOKEN),
    "similarDocuments": get("/api/documents/rent/similar"),
    "documentById": get("/api/documents?id=rent"),
    "replaceDocumentById": put("/api/documents?id=rent", json=GOOD, headers=TOKEN),
    "deleteDocumentById": delete("/api/documents?id=rent", headers=TOKEN),
    "similarDocumentsById": get("/api/similar?id=rent"),
    "replaceSimilar": put("/api/documents/rent/similar", json=GOOD, headers=TOKEN),
    "deleteSimilar": delete("/api/documents/rent/similar", headers=TOKEN),
    "importFile": upload(**TOKEN),
    "importState": get("/api/import/7", headers=TOKEN),
    "cancelImport": post("/api/import/9/cancel", headers=TOKEN),
    "undoImport": post("/api/import/11/undo", headers=TOKEN),
    **WITHOUT_SCREENINGS,
    "stats": get("/api/stats"),
    "health": get("/health"),
    "monitoringHealth": get("/api/monitoring/health"),
}


def test_the_description_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_the_description_has_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert DOCUMENT["info"]["version"] == project["project"]["version"]


def test_every_route_is_described_and_every_description_has_a_route(api: Flask) -> None:
    routed = {
        (re.sub(r"<[^>]*?(\w+)>", r"{\1}", rule.rule).replace("{own_id}", "{id}"), method.lower())
        for rule in api.url_map.iter_rules()
        if rule.endpoint.startswith("api_") and rule.rule != "/mcp"  # its own protocol describes it
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    nested = {("/api/documents/{id}/similar", method) for method in ("put", "delete")}  # ids that end so
    assert {(one.path, one.method) for one in OPERATIONS.values()} == routed | nested
    assert all(path.startswith("/api/") or path in ("/health", "/livez", "/metrics") for path, _ in routed)


def too_many(operation: str) -> Call:
    """Repeat a call of the operation until it is refused; rather one that changes nothing."""
    statuses = sorted(status for name, status in CALLS if name == operation)
    call = CALLS[operation, next((status for status in (401, 404) if status in statuses), statuses[0])][0]

    def repeated(client: FlaskClient) -> TestResponse:
        answers = (call(client) for _ in range(8 * DEFAULT_FACTOR + 1))
        return next((answer for answer in answers if answer.status_code == 429), call(client))

    return repeated


def is_called(pair: tuple[str, int]) -> bool:
    return pair[1] not in COMMON | {503} and (pair[1] != 429 or pair in CALLS)


@pytest.mark.parametrize(("operation", "status"), [pair for pair in DESCRIBED if is_called(pair)])
def test_an_answer_is_as_described(api: Flask, operation: str, status: int) -> None:
    for call in CALLS[operation, status]:
        check(call(api.test_client()), operation, status)


@pytest.mark.parametrize(
    "operation", [name for name, status in DESCRIBED if status == 429 and (name, 429) not in CALLS]
)
def test_every_operation_may_be_called_too_often(api: Flask, operation: str) -> None:
    check(too_many(operation)(api.test_client()), operation, 429)


def test_only_what_probes_ask_is_without_a_limit() -> None:
    limited = {name for name, status in DESCRIBED if status == 429}
    assert OPERATIONS.keys() - limited == {"health", "alive", "metrics"}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_method_that_a_path_does_not_take_is_405_and_says_which_it_does(api: Flask, operation: str) -> None:
    path = re.sub(r"{\w+}", "1", OPERATIONS[operation].path)
    answer = api.test_client().patch(path)
    check(answer, operation, 405)
    taken = {one.method.upper() for one in OPERATIONS.values() if one.path == OPERATIONS[operation].path}
    allowed = {name.strip() for name in answer.headers["Allow"].split(",")}
    assert allowed - {"HEAD", "OPTIONS"} == taken


def test_an_address_that_is_too_long_is_414_everywhere(database: str, tmp_path: Path) -> None:
    assert all({"405", "414"} <= one.responses.keys() for one in OPERATIONS.values())
    with serving(tmp_path, DATABASE_URL=database) as server:
        answer = server.send("GET", "/api/search?q=" + "a" * 5_000)
    assert (answer.status, answer.headers["Content-Type"]) == (414, "text/html")


@pytest.mark.parametrize("operation", [operation for operation, status in DESCRIBED if status == 503])
def test_without_a_database_the_answer_is_as_described(api: Flask, operation: str) -> None:
    with api.app_context():
        db.session.remove()
        Base.metadata.drop_all(db.engine)
    check(WITHOUT_TABLES[operation](api.test_client()), operation, 503)


def test_what_is_called_is_described() -> None:
    without = {(operation, 503) for operation in WITHOUT_TABLES}
    assert set(CALLS) | without == {pair for pair in DESCRIBED if is_called(pair)} | without
    assert {operation for operation, status in DESCRIBED if status == 503} == WITHOUT_TABLES.keys()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_examples_are_as_described(operation: str) -> None:
    one = OPERATIONS[operation]
    for part in (*one.responses.values(), one.body or {}):
        for content in part.get("content", {}).values():
            named = [example["value"] for example in content.get("examples", {}).values()]
            alone = [content["example"]] if "example" in content else []
            assert [fault for example in (*named, *alone) for fault in faults(content["schema"], example)] == []


def test_example_documents_are_taken_and_come_back(api: Flask) -> None:
    examples = resolved({"$ref": "#/components/requestBodies/Document"})["content"]["application/json"]["examples"]
    for example in examples.values():
        given = check(
            api.test_client().post("/api/documents", json=example["value"], headers=TOKEN), "createDocument", 201
        )
        assert given["title"] == example["value"]["title"]
        assert given["body"] == example["value"].get("body", example["value"].get("description"))


def test_ranges_are_the_servers_own(api: Flask) -> None:
    """The ends of every described range are taken, and what lies beyond them is refused."""
    tried = 0
    for path, name, low, high in ranges():
        for value, status in ((low, 200), (high, 200), (low - 1, 422), (high + 1, 422), ("x", 422)):
            client = api.test_client()
            address = {"REMOTE_ADDR": f"10.0.0.{(tried := tried + 1)}"}  # each with a rate of its own
            answer = client.get(
                path.replace("{id}", "rent").replace("{number}", "7"),
                query_string={"id": "rent", name: value},
                headers=TOKEN,
                environ_overrides=address,
            )
            assert answer.status_code == status, (path, name, value)
    assert tried > 20


def ranges() -> Iterator[tuple[str, str, int, int]]:
    for path, methods in DOCUMENT["paths"].items():
        for parameter in map(resolved, methods.get("get", {}).get("parameters", [])):
            schema = parameter["schema"]
            if parameter["in"] == "query" and schema.get("type") == "integer":
                yield path, parameter["name"], schema["minimum"], schema["maximum"]


def lengths() -> list[tuple[str, str, int]]:
    """Return the described maxLength of every parameter in a query: path, name, characters."""
    described = []
    for path, methods in DOCUMENT["paths"].items():
        for parameter in map(resolved, methods.get("parameters", []) + methods.get("get", {}).get("parameters", [])):
            schema = resolved(parameter["schema"])
            most = schema.get("maxLength") or schema.get("items", {}).get("maxLength")
            if parameter["in"] == "query" and most and "get" in methods:
                described.append((path, parameter["name"], most))
    return described


@pytest.mark.parametrize(("path", "name", "most"), lengths())
def test_lengths_are_the_servers_own(api: Flask, path: str, name: str, most: int) -> None:
    def status(length: int) -> int:
        query = {"id": "rent", name: "a" * length}
        address = path.replace("{id}", "rent").replace("{number}", "7")
        return api.test_client().get(address, query_string=query).status_code

    assert status(most) in (200, 404)
    assert status(most + 1) == 422


@pytest.mark.parametrize(
    "operation", ["recommend", "skillGap", "compare", "beginScreening", "keepSearch", "createDocument"]
)
def test_lengths_in_bodies_are_the_servers_own(api: Flask, operation: str) -> None:
    one = OPERATIONS[operation]
    assert one.body is not None
    schema = resolved(one.body["content"]["application/json"]["schema"])
    most = {name: resolved(part).get("maxLength") for name, part in schema["properties"].items()}
    for name, length in most.items():
        if length:
            body = GOOD | {"address": "/text?q=a", name: "a" * (length + 1)}
            answer = api.test_client().post(one.path, json=body, headers=TOKEN)
            assert answer.status_code == 422, (name, answer.get_data(as_text=True))


@pytest.mark.parametrize("name", ["mode", "sort"])
def test_choices_are_the_servers_own(api: Flask, name: str) -> None:
    parameters = {one["name"]: one for one in map(resolved, DOCUMENT["paths"]["/api/search"]["get"]["parameters"])}
    client = api.test_client()
    choices = resolved(parameters[name]["schema"])["enum"]
    assert [client.get("/api/search", query_string={name: one}).status_code for one in choices] == [200] * len(choices)
    assert client.get("/api/search", query_string={name: "x"}).status_code == 422
