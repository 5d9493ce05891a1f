"""The audit log: every write leaves an entry, which names who did it and from where, and no query."""

from __future__ import annotations

import json
import time
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app import create_app
from config import Settings
from models import AuditEntry, db
from operations import audit
from operations.audit import ACTIONS, VISITOR, audit_entries, delete_old_entries, forget_in_audit, record
from operations.keys import create_key
from tests.commands import run
from tests.conftest import closed, settings_for
from tests.documents import document, write
from tests.visits import BEARER, page, signed_in

# What writes nothing that another person would look for: one's own searches, a ranking stopped, a form sent as a POST.
UNRECORDED = frozenset(
    "matching.match_asked api_matching.api_recommend api_matching.api_skill_gap api_matching.api_compare"
    " api_mcp.mcp imports.import_upload imports.import_columns"
    " saved_searches.searches_keep saved_searches.searches_run saved_searches.searches_delete"
    " api_saved_searches.api_search_keep api_saved_searches.api_search_run api_saved_searches.api_search_drop"
    " screenings.screening_cancel api_screenings.api_screening_cancel".split()
)

FIGURES = ("/status?lang=en", "/metrics", "/api/stats", "/api/monitoring/health", "/api/monitoring/memory")


@pytest.fixture
def site(app: Flask) -> Flask:
    app.config["WTF_CSRF_ENABLED"] = False
    with app.app_context():
        write(db.session(), document("dev", "Developer", "", "SQL"), collection="jobs")
        write(db.session(), document("ann", "Ann", "", "SQL"), document("bob", "Bob", "", "SQL"), collection="people")
    return app


def entries(site: Flask) -> list[tuple[str, str, str, str]]:
    """Return who did what, on what, from where: the oldest first."""
    with site.app_context():
        rows = db.session.execute(select(AuditEntry).order_by(AuditEntry.id)).scalars()
        return [(row.who, row.action, row.what, row.client) for row in rows]


def api_writes(client: FlaskClient) -> None:
    """Write in every way that the API has, as the admin and as a visitor."""
    fields = {"id": "new", "title": "New", "collection": "things"}
    assert client.post("/api/documents", json=fields, headers=BEARER).status_code == 201
    assert client.put("/api/documents/new", json=fields, headers=BEARER).status_code == 200
    assert client.delete("/api/documents/new?collection=things", headers=BEARER).status_code == 204
    form = {"file": (BytesIO(b"id,title\n1,Ms. Quetzal\n"), "ms-quetzal.csv"), "collection": "things"}
    assert client.post("/api/import", data=form, headers=BEARER).status_code == 202
    number = client.post("/api/screenings", json={"job_id": "dev", "profiles": "people"}).json["id"]  # type: ignore[index]
    client.application.runtime.screenings.join(60)  # type: ignore[attr-defined]
    address = f"/api/screenings/{number}"
    assert client.put(f"{address}/profiles/ann", json={"status": "rejected"}).status_code == 200
    assert client.put(f"{address}/profiles?id=bob", json={"note": "to call"}).status_code == 200
    assert client.post(f"{address}/run").status_code == 202
    assert client.delete(address).status_code == 204


def test_writes_by_the_api_are_recorded_with_who_and_where(site: Flask) -> None:
    api_writes(site.test_client())
    told = entries(site)
    assert [(who, action) for who, action, _, _ in told] == [
        ("admin token", "document written"), ("admin token", "document written"), ("admin token", "document deleted"),
        ("admin token", "import"), (VISITOR, "screening begun"), (VISITOR, "screening decided"),
        (VISITOR, "screening decided"), (VISITOR, "screening run"), (VISITOR, "screening deleted"),
    ]  # fmt: skip
    assert {client for *_, client in told} == {"127.0.0.1"}
    assert told[0][2] == told[2][2] == "things: new"
    assert told[5][2].endswith(": ann")
    assert "quetzal" not in str(told).lower()


def test_writes_by_pages_are_recorded(site: Flask) -> None:
    client = signed_in_without_token(site)
    client.post("/keys", data={"name": "reader", "scope": "read"})
    client.post(page(client, "/keys").all("form")[-1]["action"])
    file = {"file": (BytesIO(b"id,title\n1,a\n"), "a.csv"), "collection": "things", "private": "1"}
    job = client.post("/import", data=file).location
    client.post(job)
    client.post(f"{job}/cancel")
    screening = client.post("/screenings", data={"job": "dev", "profiles": "people"}).location
    site.runtime.screenings.join(60)  # type: ignore[attr-defined]
    client.post(f"{screening}/profiles", data={"profile": "ann", "status": "rejected"})
    client.post(f"{screening}/links", data={"name": "the board"})
    client.post(next(form["action"] for form in page(client, screening).all("form") if "/links/" in form["action"]))
    client.post(f"{screening}/run")
    client.post(f"{screening}/delete")
    client.post("/new", data={"collection": "made", "id": "d", "title": "a"})
    for access in ("private", "public"):
        client.post("/collections/access", data={"name": "made", "access": access})
    client.post("/edit/delete", data={"id": "d", "collection": "made"})
    client.post("/collections/delete", data={"name": "made", "typed": "made"})
    client.post("/signout")
    actions = [action for _, action, _, _ in entries(site) if action != "import cancelled"]
    assert actions == [
        "sign-in", "key made", "key revoked", "import", "screening begun", "screening decided", "screening shared",
        "screening unshared", "screening run", "screening deleted", "document written", "collection private",
        "collection public", "document deleted", "collection deleted", "sign-out",
    ]  # fmt: skip
    told = {action: (who, what) for who, action, what, _ in entries(site)}
    assert {who for who, _ in told.values()} == {"admin token"}
    assert told["key made"][1] == "reader (read; all collections)"
    assert told["import"][1].endswith(", made private")
    assert told["screening shared"][1].endswith("the board, may read")


def signed_in_without_token(site: Flask) -> FlaskClient:
    client = site.test_client()
    assert client.post("/signin", data={"key": "a token of the tests"}).status_code == 303
    return client


def test_every_route_that_writes_is_recorded_or_known(site: Flask) -> None:
    """The two tests above call those that are recorded."""
    writing = {
        rule.endpoint for rule in site.url_map.iter_rules() if {"POST", "PUT", "DELETE"} & (rule.methods or set())
    }
    assert writing - UNRECORDED == set(
        "api_documents.api_create api_documents.api_replace api_documents.api_delete api_imports.api_import"
        " api_imports.api_import_cancel api_screenings.api_screening_begin api_screenings.api_screening_decide"
        " api_screenings.api_screening_run api_screenings.api_screening_delete keys.sign_in_asked keys.sign_out_asked"
        " keys.key_make keys.key_revoke imports.import_start imports.import_cancel screenings.screenings_begin"
        " imports.import_undo api_imports.api_import_undo"  # by tests/test_undo.py
        " screenings.screening_decide screenings.screening_share screenings.screening_unshare screenings.screening_run"
        " screenings.screening_delete forgetting.forget_asked documents.new_document_sent documents.edit_document_sent"
        " documents.delete_document collections.collection_access collections.collection_delete_sent".split()
    )


def test_wrong_keys_are_recorded_but_not_all_of_an_attack(site: Flask) -> None:
    client = site.test_client()
    for number in range(200):
        where = {"REMOTE_ADDR": f"192.0.2.{number}"}
        assert (
            client.get("/api/tags", headers={"Authorization": "Bearer x"}, environ_overrides=where).status_code == 401
        )
    told = entries(site)
    assert {(who, action, what) for who, action, what, _ in told} == {(VISITOR, "key refused", "")}
    assert 0 < len(told) <= 60


def test_no_query_is_recorded(site: Flask) -> None:
    client = site.test_client()
    for path in ("/?q=quetzal", "/api/search?q=quetzal", "/match?skills=quetzal"):
        assert client.get(path).status_code == 200
    client.post("/api/searches", json={"address": "/text?q=quetzal"})
    client.post("/api/screenings", json={"text": "quetzal, SQL", "jobs": "jobs", "profiles": "people"})
    assert "quetzal" not in str(entries(site))


def test_only_admins_read_it(site: Flask) -> None:
    with site.app_context():
        key = create_key(db.session(), "all but admin", ["read", "write", "match"])[1]
    assert site.test_client().get("/audit").status_code == 303
    client = site.test_client()
    client.post("/signin", data={"key": key})
    assert client.get("/audit").status_code == 403
    shown = page(signed_in_without_token(site), "/audit?lang=en")
    assert "key all but admin" in shown.text
    assert "signed in" in shown.text
    assert "key all but admin" not in page(signed_in_without_token(site), "/audit?lang=en&action=key+made").text
    assert page(signed_in_without_token(site), "/audit?lang=he&who=nobody").text.count("אין רשומות כאלה") == 1


def test_the_page_has_older_and_newer_entries(site: Flask) -> None:
    with site.app_context():
        for number in range(150):
            record(db.session(), "document written", f"things: number-{number}-")
    client = signed_in_without_token(site)
    first, second = (page(client, f"/audit?lang=en&page={n}").text for n in (1, 2))
    assert ("number-149-" in first, "number-0-" in first) == (True, False)
    assert ("number-149-" in second, "number-0-" in second) == (False, True)
    assert page(client, "/audit?lang=en&page=99").text.count("no entries") == 1


def test_commands_write_and_show_it(settings: Settings, site: Flask, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,title\n1,a\n", encoding="utf-8")
    assert run(settings, "import", file, "--collection", "things").returncode == 0
    assert run(settings, "collection", "private", "things").returncode == 0
    assert run(settings, "collection", "public", "things").returncode == 0
    assert run(settings, "keys", "create", "a", "--scope", "read").returncode == 0
    lines = run(settings, "audit", "--json").stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert [each["action"] for each in told] == ["key made", "collection public", "collection private", "import"]
    assert all(each["who"].startswith("command line, user ") for each in told)
    assert "collection private  things" in run(settings, "audit", "--action", "collection private").stdout
    assert run(settings, "audit", "--who", "nobody").stdout == ""
    assert len(run(settings, "audit", "--limit", "2").stdout.splitlines()) == 2
    assert run(settings, "audit", "--since", "2999-01-01").stdout == ""
    assert run(settings, "audit", "--since", "soon").returncode == 2


def test_a_forgotten_documents_id_leaves_the_entries(session: Session) -> None:
    for what in ("people: ann", "screening 7: ann", "people: anna", "screening 7: joann", "jobs: ann"):
        record(session, "document written", what)
    assert forget_in_audit(session, "people", "ann") == 2
    session.commit()
    told = sorted(entry.what for entry in audit_entries(session))
    assert told == ["jobs: ann", "people: anna", "people: forgotten", "people: forgotten", "screening 7: joann"]
    record(session, "document written", "people: 50%_x")
    record(session, "document written", "screening 7: 50ab_x")
    assert forget_in_audit(session, "people", "50%_x") == 1


def test_old_entries_go_and_visitors_push_nobody_out(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_OF_VISITORS", 3)
    now = int(time.time())
    for n, who in enumerate(["key a", *[VISITOR] * 6, "key b"]):
        record(session, "document written", str(n), who)
        session.execute(
            text("UPDATE audit_entry SET at = :at WHERE what = :what"), {"at": now - 100 + n, "what": str(n)}
        )
        session.commit()
    assert delete_old_entries(session, now - 1_000) == 3
    assert [entry.what for entry in audit_entries(session)] == ["7", "6", "5", "4", "0"]
    assert delete_old_entries(session, now - 95) == 2
    assert [entry.what for entry in audit_entries(session)] == ["7", "6", "5"]


def test_a_database_that_takes_no_entry_stops_nothing(
    sqlite_alone: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings_for(sqlite_alone, tmp_path))
    with app.app_context():
        db.session.execute(text("DROP TABLE audit_entry"))
        db.session.commit()
    with caplog.at_level("WARNING", "matmon.audit"):
        signed_in(app.test_client())
    assert "not in the audit log: admin token, 127.0.0.1, sign-in" in caplog.text
    closed(app)


def test_what_everybody_sees_of_the_figures_names_nothing(site: Flask) -> None:
    client = site.test_client()
    client.get("/api/search?q=quetzal")
    told = {path: client.get(path).get_data(as_text=True) for path in FIGURES}
    for path, answer in told.items():
        for word in ("people", "jobs", "quetzal", "worker=", "pid", '"worker"', 'searches"', "RATE_LIMIT", "pool"):
            assert word not in answer.replace('"/searches"', ""), (path, word)
    assert "matmon_documents 3" in told["/metrics"]
    assert json.loads(told["/api/stats"])["documents"] == 3
    seen = {path: client.get(path, headers=BEARER).get_data(as_text=True) for path in told}
    assert "people" in seen["/status?lang=en"]
    assert "people" in seen["/api/stats"]
    assert "matmon_searches_total" in seen["/metrics"]
    assert json.loads(seen["/api/monitoring/memory"])["processes"]


def test_the_actions_are_told_in_both_languages(site: Flask) -> None:
    with site.app_context():
        for action in ACTIONS:
            record(db.session(), action)
    client = signed_in_without_token(site)
    for lang in ("he", "en"):
        text_of_rows = page(client, f"/audit?lang={lang}").text
        raw = [action for action in ACTIONS if lang == "he" and f" {action} " in text_of_rows]
        assert not raw
