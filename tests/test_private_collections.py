"""A private collection: for whoever may not read it, the site is as if the collection were not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from app import create_app
from config import Settings
from indexes.access import set_private
from indexing.documents import NewDocument
from models import Document, db
from operations.keys import create_key
from runtime import runtime_of
from screening.store import create_screening
from screening.vocabulary import screened_job
from search.saved_searches import save_search
from tests.collections import fill
from tests.commands import run
from tests.conftest import Started, closed, settings_for
from tests.documents import COLLECTION, document, stands_right, write
from tests.semantic_side import use_semantic
from tests.visits import BEARER, signed_in

OPEN = (
    document("o1", "Gardens of the town", "common words about gardens and water", "gardening", "shared", language="en"),
    document("o2", "Water in the town", "common words about pipes", "plumbing", "shared", language="en"),
    document("o3", "בית ומים", "מילים נפוצות על מים", "דיור", language="he"),
)
JOBS = (document("j1", "Gardener", "a common job", "gardening", "plumbing"), document("j2", "Plumber", "", "plumbing"))
SECRET = (
    NewDocument("S-777", "Quetzalcoatl plan", "common words, and quetzalcoatl alone knows the waterworks",
                ("zanzibar", "shared", "plumbing"), "xx", extra={"salary": "9000"}),
    NewDocument("S-778", "Another quetzalcoatl", "common zanzibarite words", ("zanzibar", "gardening"), "xx"),
)  # fmt: skip
TOLD = ("quetzalcoatl", "zanzibar", "s-777", "s-778", "zanzibarite", "waterworks", "secret", "xx")
# What is asked for is not written out where an answer repeats it.
TYPED = {"Q": "quetzalcoatl", "QQ": "quetzalcoatk", "Z": "zanzibar", "W": "waterwork", "ID": "S-777", "C": "secret"}
SEARCHES = (
    "", "q=common", "q=common+words", "q=town+water", "q={Q}", "q={QQ}", "q={W}", "q={Z}", "q=%22{Q}+plan%22",
    "q=-{Q}", "q=common+-{Q}", "q=common+-{Z}", "q=salary:9000", "q=common+salary:9000", "q=tag:{Z}", "tag={Z}",
    "tag=shared", "not_tag=shared&q=common", "collection={C}", "collection={C}&q=common", "language=xx&q=common",
    "q=common&sort=newest", "q=common&sort=title", "q=gardening", "q=gardning", "q={ID}", "q=shared",
)  # fmt: skip
PAGES = (
    "/", "/text", "/tags", "/semantic", "/tags?sort=name", "/tags?prefix=z", "/tags?prefix=s&sort=name",
    "/tags?collection={C}", "/documents/o1", "/documents/o1?q={Q}", "/documents/{ID}", "/documents/{ID}?collection={C}",
    "/match", "/match?skills=gardening,{Z}", "/match?skills=gardening&job=j1", "/match?skills=shared&collection={C}",
    "/match?job={ID}&collection={C}&skills=shared", "/match/compare?skills=plumbing&job=j1&job=j2",
    "/match/compare?against=j1&profiles={C}&profile={ID}", "/screenings", "/searches", "/searches?save=/text?q=common",
    "/robots.txt", "/go?q={Q}&mode=text", "/signin", "/import", "/sitemap.xml", "/sitemap-1.xml", "/opensearch.xml",
    "/manifest.webmanifest", "/collections", "/api", "/new", "/api/collections", "/edit?id={ID}",
    "/collections/delete?name={C}",
    "/api/suggest?q=quetz", "/api/suggest?q=zan", "/api/suggest?q=common", "/api/suggest?q=salary:9000",
    "/api/tags", "/api/tags?prefix=z", "/api/tags?collection={C}", "/api/documents/{ID}",
    "/api/documents/{ID}?collection={C}", "/api/documents/{ID}/similar?collection={C}", "/api/documents/o1/similar",
    "/api/screenings", "/api/searches", "/api/stats",
)  # fmt: skip
TOOL_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("search", {"query": "common"}), ("search", {"query": "{QQ}"}), ("search", {"tags": ["{Z}"]}),
    ("search", {"tags": ["shared"]}), ("search", {"query": "common", "collection": "{C}"}),
    ("search", {"query": "salary:9000"}), ("read_document", {"id": "{ID}"}),
    ("read_document", {"id": "{ID}", "collection": "{C}"}), ("similar", {"id": "o1"}),
    ("similar", {"id": "{ID}", "collection": "{C}"}), ("list_collections", {}), ("match_skills", {"skills": ["{Z}"]}),
    ("match_skills", {"text": "common {Q} {Z}", "collection": "{C}"}),
    ("match_skills", {"skills": ["shared"], "collection": "{C}", "job_id": "{ID}"}),
)  # fmt: skip
POSTS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(
        ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": given}})
        for name, given in TOOL_CALLS
    ),
    ("/api/recommend", {"skills": ["gardening", "{Z}"]}),
    ("/api/recommend", {"skills": ["shared"], "collection": "{C}"}),
    ("/api/recommend", {"text": "common {Q} gardening {Z}"}),
    ("/api/recommend", {"text": "common {Q} gardening {Z}", "collection": "{C}"}),
    ("/api/skill-gap", {"document_id": "j1", "skills": ["{Z}"]}),
    ("/api/skill-gap", {"document_id": "{ID}", "collection": "{C}", "skills": ["{Z}"]}),
    ("/api/skill-gap", {"title": "{Q} plan", "collection": "{C}"}),
    ("/api/skill-gap", {"title": "another {Q}"}),
    ("/api/compare", {"job_ids": ["{ID}"], "jobs": "{C}", "skills": ["shared"]}),
    ("/api/compare", {"job_id": "j1", "profile_ids": ["{ID}"], "profiles": "{C}"}),
    ("/api/screenings", {"job_id": "j1", "profiles": "{C}"}),
    ("/api/screenings", {"job_id": "{ID}", "jobs": "{C}", "profiles": "jobs"}),
    ("/api/screenings", {"text": "plumbing {Z}", "jobs": "{C}", "profiles": "{C}"}),
)
VARYING = re.compile(
    r'name="csrf_token" value="[^"]*"|"took_ms":[^,]*|"version":\d+|"index(_bytes)?":\{[^}]*\}|"(added|changed)_at":\d+'
    r"|[\d.,]+ (?:ms|millisecond\w*|אלפיות שנייה|אלפית שנייה)|<time[^>]*>|<updated>[^<]*"
)


def filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: filled(each) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each) for each in value]
    return re.sub(r"\{(\w+)\}", lambda match: TYPED[match[1]], value) if isinstance(value, str) else value


def requests() -> Iterator[tuple[str, Callable[[FlaskClient], Any]]]:
    """Yield every request that could tell of the secret, with its name."""
    modes = [f"mode={mode}&" for mode in ("hybrid", "text", "tags", "semantic")]
    paths = [
        "/?",
        "/text?",
        "/tags?",
        "/semantic?",
        "/?format=csv&",
        "/?format=csv&all=1&",
        "/?format=jsonl&all=1&",
        "/?format=atom&",
        "/?part=results&",
        *(f"/api/search?{m}" for m in modes),
    ]
    for address in (*(path + search for path in paths for search in SEARCHES), *PAGES):
        yield address, lambda client, address=address: client.get(filled(address))  # type: ignore[misc]
    for path, body in POSTS:
        yield f"{path} {body}", lambda client, path=path, body=body: client.post(path, json=filled(body))  # type: ignore[misc]


# Pages that tell of no document, and those with tests of their own below.
APART = frozenset(
    "static site.favicon search.status keys.keys imports.import_page api_imports.api_import_state audit.audit_page"
    " imports.import_rejects"
    " api_operations.api_health search.privacy forgetting.forget_form"
    " api_operations.api_livez api_operations.api_monitoring_health api_operations.api_monitoring_memory"
    " api_operations.api_metrics api_operations.api_openapi screenings.screening screenings.screening_export"
    " api_screenings.api_screening api_screenings.api_screening_export".split()
)


def test_every_route_that_reads_is_asked(app: Flask) -> None:
    routes = app.url_map.bind("localhost")
    asked = {
        str(routes.match(filled(name.split(" ")[0].partition("?")[0]), "POST" if " " in name else "GET")[0])
        for name, _ in requests()
    }
    reading = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert reading - asked == APART


def answered(client: FlaskClient, ask: Callable[[FlaskClient], Any]) -> str:
    answer = ask(client)
    place = answer.headers.get("Location", "")
    return f"{answer.status_code} {place} {VARYING.sub('', answer.get_data(as_text=True))}"


def with_secret(session: Session) -> None:
    set_private(session, "secret", is_private=True)
    write(session, *SECRET, collection="secret")


@pytest.fixture(params=["sqlite", "postgresql"])
def sites(request: pytest.FixtureRequest, started: Started, tmp_path: Path) -> Iterator[tuple[Flask, Flask]]:
    """Two sites with the same public documents, of which the second has a private collection as well."""
    maker, apps = started.maker(request.param), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with maker.fresh(tmp_path / "one") as plain, maker.fresh(tmp_path / "two") as secret:
        for name, url in (("one", plain), ("two", secret)):
            app = create_app(settings_for(url, tmp_path / name, rate_limit="100000/minute", rate_limit_cpu_s=0))
            with app.app_context():
                write(db.session(), *OPEN)
                write(db.session(), *JOBS, collection="jobs")
                if name == "two":
                    with_secret(db.session())
                db.session.execute(update(Document).values(added_at=1_700_000_000, changed_at=1_700_000_000))
                db.session.commit()
            apps.append(app)
        yield apps[0], apps[1]
        for app in apps:
            closed(app)


def made_key(app: Flask, scopes: list[str], names: list[str]) -> str:
    with app.app_context():
        return create_key(db.session(), "another", scopes, names)[1]


def test_nobody_can_tell_a_site_with_a_private_collection_from_one_without(sites: tuple[Flask, Flask]) -> None:
    plain, secret = sites
    keys: list[tuple[str, str]] = [("", "")]
    for scopes, names in ((["read", "match", "write"], [COLLECTION]), (["write"], [])):
        keys.append(tuple(made_key(app, scopes, names) for app in sites))  # type: ignore[arg-type]
    for headers in keys:
        first, second = plain.test_client(), secret.test_client()
        if any(headers):
            for client, key in zip((first, second), headers, strict=True):
                client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        for name, ask in requests():
            expected = answered(first, ask)
            if any(headers) and not name.startswith("/api/"):
                continue  # pages say who is signed in
            assert answered(second, ask) == expected, name


def test_whoever_has_a_key_for_it_finds_it(sites: tuple[Flask, Flask]) -> None:
    app = sites[1]
    with app.app_context():
        keys = [create_key(db.session(), "a", ["read", "match"], names)[1] for names in ([], ["secret"])]
    for key in [*keys, BEARER["Authorization"].removeprefix("Bearer ")]:
        client, bearer = app.test_client(), {"Authorization": f"Bearer {key}"}
        hits = client.get("/api/search?q=quetzalcoatl&mode=text", headers=bearer).json["hits"]  # type: ignore[index]
        assert {hit["id"] for hit in hits} == {"S-777", "S-778"}
        assert client.get("/api/documents/S-777", headers=bearer).status_code == 200
        assert client.get("/api/search?q=common&mode=text", headers=bearer).json["total"] == 5  # type: ignore[index]
        gap = client.post("/api/skill-gap", json={"document_id": "S-777", "collection": "secret"}, headers=bearer)
        assert gap.status_code == 200
        assert client.get("/api/stats", headers=bearer).json["documents"] == 7  # type: ignore[index]
        page = signed_in(app.test_client(), key).get("/text?q=quetzalcoatl").get_data(as_text=True)
        assert "/documents/S-777" in page


def test_what_one_was_answered_is_not_kept_for_another(sites: tuple[Flask, Flask]) -> None:
    """Rankings, tags and names are cached; whoever may read more asks first."""
    app = sites[1]
    everybody, admin = app.test_client(), app.test_client()
    for _, ask in requests():
        admin.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
        ask(admin)
        told = answered(everybody, ask).lower()
        typed = [word.lower() for word in TYPED.values()]
        assert not [word for word in TOLD[:-1] if word in told and not any(word in each for each in typed)]


def test_searches_by_meaning_do_not_tell_of_it(app: Flask) -> None:
    with app.app_context():
        set_private(db.session(), "secret", is_private=True)
        fill(db.session(), SECRET, "secret")
        fill(db.session(), JOBS, "jobs")
        use_semantic(app, fill(db.session(), OPEN, COLLECTION))
    runtime_of(app).settings = settings_for("sqlite://", Path(), rate_limit="100000/minute")
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    assert "S-777" in client.get("/api/search?q=common+words&mode=semantic").get_data(as_text=True)
    client = app.test_client()
    for address in (
        "/api/search?q=common+words&mode=semantic", "/api/search?q=common+words", "/api/documents/o1/similar",
        "/documents/o1?lang=en", "/tags?tag=shared", "/api/search?mode=tags&tag=shared",
        "/api/search?q=gardenin&mode=tags",
    ):  # fmt: skip
        told = client.get(address).get_data(as_text=True).lower()
        assert not [word for word in TOLD if word in told and word != "xx"], address


def test_figures_count_only_what_is_public(sites: tuple[Flask, Flask]) -> None:
    plain, secret = (app.test_client() for app in sites)
    for path in ("/health", "/api/monitoring/health"):
        counts = [client.get(path).json["documents"] for client in (plain, secret)]  # type: ignore[index]
        assert counts[0] == counts[1], path
    for path in ("/metrics", "/status"):
        assert "secret" not in secret.get(path).get_data(as_text=True).replace("secret_", "")
    counted = [re.findall(r"matmon_documents[^ ]* (\d+)", client.get("/metrics").get_data(as_text=True))
               for client in (plain, secret)]  # fmt: skip
    assert counted[0]
    assert counted[0] == counted[1]


def test_saved_searches_and_screenings_of_it_are_gone_for_who_may_not_read_it(app: Flask) -> None:
    with app.app_context():
        session = db.session()
        write(session, *JOBS, collection="jobs")
        write(session, *SECRET, collection="secret")
        number = create_screening(session, 5, screened_job(session, "jobs", "j1"), "secret").id
        save_search(session, 5, "all", "/text?q=common")
        save_search(session, 5, "ranked", f"/screenings/{number}")
        write(session, document("S-779", "common late", "", "zanzibar"), collection="secret")
    client = app.test_client()
    with client.session_transaction() as kept:
        kept["browser"] = 5
    assert client.get(f"/screenings/{number}").status_code == 200
    before = client.get("/api/searches").json["searches"]  # type: ignore[index]
    assert {each["name"]: (each["new"], each["gone"]) for each in before}["all"] == (1, False)
    with app.app_context():
        set_private(db.session(), "secret", is_private=True)
    for path in ("", "/export"):
        assert client.get(f"/screenings/{number}{path}").status_code == 404
        assert client.get(f"/api/screenings/{number}{path}").status_code == 404
    assert client.get("/api/screenings").json == {"screenings": []}
    after = {each["name"]: (each["new"], each["gone"]) for each in client.get("/api/searches").json["searches"]}  # type: ignore[index]
    assert after == {"all": (0, False), "ranked": (None, True)}
    assert client.put(f"/api/screenings/{number}/profiles/S-777", json={"status": "rejected"}).status_code == 404


def test_a_limited_key_of_a_private_site_reads_its_own_collections_only(settings: Settings, app: Flask) -> None:
    del settings
    with app.app_context():
        write(db.session(), *OPEN)
        write(db.session(), *JOBS, collection="jobs")
        key = create_key(db.session(), "a", ["read"], ["jobs"])[1]
    runtime = runtime_of(app)
    runtime.settings = settings_for(runtime.settings.database_url, runtime.settings.instance_dir, access="private")
    client, bearer = app.test_client(), {"Authorization": f"Bearer {key}"}
    found = client.get("/api/search?q=common&mode=text", headers=bearer).json
    assert [hit["id"] for hit in found["hits"]] == ["j1"]  # type: ignore[index]
    assert client.get("/api/documents/o1", headers=bearer).status_code == 404


def test_a_collection_is_made_private_and_public_by_commands(settings: Settings, app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,title\n1,hidden treasure\n", encoding="utf-8")
    assert run(settings, "import", file, "--collection", "profiles", "--private").returncode == 0
    assert run(settings, "collection", "list").stdout == "profiles: 1 documents, private\n"
    client = app.test_client()

    def total() -> int:
        return int(client.get("/api/search?q=treasure&mode=text").json["total"])  # type: ignore[index]

    assert total() == 0
    assert run(settings, "collection", "public", "profiles").returncode == 0
    assert total() == 1
    assert run(settings, "import", file, "--collection", "profiles").returncode == 0
    assert run(settings, "collection", "private", "profiles").returncode == 0
    assert total() == 0
    write_more = run(settings, "import", file, "--collection", "profiles")
    assert write_more.returncode == 0
    assert total() == 0
    assert run(settings, "collection", "private", "nothing").returncode == 2
    with app.app_context():
        stands_right(db.session())
