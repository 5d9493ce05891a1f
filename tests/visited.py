"""A site with as much of everything as is asked for, and a visit to each of its addresses."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import inspect, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from indexing.documents import NewDocument, write_documents
from indexing.layout import Options
from jobs.imports import new_import
from matching.aliases import Aliases
from models import SavedSearch, number
from screening.store import create_screening, decide
from screening.vocabulary import screened_job
from search.saved_searches import save_search
from search.semantic import Semantic
from tests.collections import fill
from tests.screened import run_waiting
from tests.semantic_side import use_semantic
from utils.sql import dialect

TOKEN = {"Authorization": "Bearer a token of the tests"}
BROWSER, SCREENING, IMPORT, SEARCH = 7, 11, 12, 13
SKILLS = [f"skill {n} of many" for n in range(60)]
MINE = "skill 1 of many, skill 2 of many (junior), cooking"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request; `more` is what the test client takes: a form, JSON, headers."""

    path: str
    method: str = "GET"
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def made(self, client: FlaskClient) -> TestResponse:
        return client.open(self.path, method=self.method, buffered=True, **self.more)


def get(*paths: str) -> tuple[Visit, ...]:
    return tuple(Visit(path, more={"headers": TOKEN}) for path in paths)


def posted(path: str, method: str = "POST", **more: Any) -> tuple[Visit, ...]:
    return (Visit(path, method, {"headers": TOKEN, **more}),)


def called(tool: str, **arguments: Any) -> tuple[Visit, ...]:
    """Return the call of a tool by an assistant."""
    params = {"name": tool, "arguments": arguments}
    return posted("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


FILTERS = (
    "tag=skill+1+of+many", "not_tag=skill+1+of+many", "collection=jobs", "language=en", "since=1",
    "tag=skill+1+of+many&not_tag=skill+2+of+many&collection=people&language=en&since=1", "sort=newest", "sort=title",
)  # fmt: skip


def searched(path: str, more: str = "") -> tuple[Visit, ...]:
    """Return searches with and without each filter: by a word that all documents have, and with a phrase in it."""
    asked = f"{path}?{more}"
    words = ("q=common", "q=common+-rare", 'q="common+words"', "q=skill+1+of+many", "q=kommon", "q=")
    return get(*(asked + one for one in words), *(f"{asked}q=common&{one}" for one in FILTERS))


SCREENED = f"/screenings/{SCREENING}"
LISTS = (
    "", "?skill=skill+1+of+many&not_skill=cooking", "?status=shortlisted", "?language=en&sort=title", "?page=2",
    "?since=1",
)  # fmt: skip
# Every address that reads; those that write are in WRITES.
READS: dict[str, tuple[Visit, ...]] = {
    "search.everything": (*get("/", "/?collection=jobs", "/?language=en", "/?since=1"), *searched("/")),
    "search.text": (
        *searched("/text"),
        *get("/text?q=common&format=csv", "/text?q=common&part=results", "/text?q=common&format=atom"),
        *get("/text?q=common&format=csv&all=1", "/text?q=common&format=jsonl&all=1"),
    ),
    "search.by_meaning": searched("/semantic"),
    "search.tags": (
        *get("/tags", "/tags?sort=name", "/tags?prefix=skill", "/tags?prefix=skill&sort=name", "/tags?collection=jobs"),
        *get("/tags?collection=jobs&prefix=skill", "/tags?page=2", "/tags?tag=skill+1+of+many", "/tags?prefix=t"),
        *searched("/tags"),
    ),
    "search.document": get("/documents/job1?collection=jobs", "/documents/job1", "/documents/job1?q=common"),
    "search.status": get("/status"),
    "search.privacy": get("/privacy"),
    "site.robots": get("/robots.txt"),
    "site.sitemap": get("/sitemap.xml"),
    "site.sitemap_part": get("/sitemap-1.xml"),
    "site.opensearch": get("/opensearch.xml"),
    "site.manifest": get("/manifest.webmanifest"),
    "site.favicon": get("/favicon.ico"),
    "search.go": get("/go?mode=text&q=common"),
    "matching.match": get("/match", f"/match?skills={MINE}", "/match?skills=skill+1+of+many&job=job1"),
    "matching.match_asked": posted("/match", data={"skills": MINE, "text": "common words", "collection": "jobs"}),
    "matching.compare": get(
        f"/match/compare?skills={MINE}&job=job0&job=job1&job=job2",
        "/match/compare?against=job1&profiles=people&profile=person0&profile=person1",
    ),
    "screenings.screenings": get("/screenings"),
    "screenings.screening": get(*(SCREENED + more for more in LISTS)),
    "screenings.screening_export": get(f"{SCREENED}/export?format=csv", f"{SCREENED}/export?format=json"),
    "saved_searches.searches": get("/searches", "/searches?save=/text?q=common"),
    "imports.import_form": get("/import"),
    "keys.sign_in_form": get("/signin"),
    "keys.keys": get("/keys"),
    "forgetting.forget_form": get("/forget?document=job1&collection=jobs"),
    "audit.audit_page": get("/audit", "/audit?action=sign-in&who=admin"),
    "imports.import_page": get(f"/import/{IMPORT}"),
    "imports.import_rejects": get(f"/import/{IMPORT}/rejects"),
    "api_search.api_search": tuple(
        visit for mode in ("hybrid", "text", "tags", "semantic") for visit in searched("/api/search", f"mode={mode}&")
    ),
    "api_documents.api_document": get("/api/documents/job1?collection=jobs"),
    "api_documents.api_similar": get("/api/documents/job1/similar?collection=jobs&limit=20"),
    "api_search.api_suggest": get("/api/suggest?q=skill", "/api/suggest?q=common"),
    "api_search.api_collections": get("/api/collections"),
    "reference.api_reference": get("/api"),
    "collections.collection_list_page": get("/collections"),
    "collections.collection_delete_asked": get("/collections/delete?name=jobs"),
    "documents.new_document": get("/new", "/new?collection=jobs"),
    "documents.edit_document": get("/edit?id=job1&collection=jobs"),
    "api_search.api_tags": get("/api/tags", "/api/tags?prefix=skill", "/api/tags?collection=jobs&limit=500"),
    "api_matching.api_recommend": posted("/api/recommend", json={"skills": MINE.split(", "), "text": "common words"}),
    "api_matching.api_skill_gap": posted("/api/skill-gap", json={"skills": MINE.split(", "), "document_id": "job1"}),
    "api_matching.api_compare": (
        *posted("/api/compare", json={"skills": MINE.split(", "), "job_ids": ["job0", "job1", "job2"]}),
        *posted("/api/compare", json={"job_id": "job1", "profiles": "people", "profile_ids": ["person0", "person1"]}),
    ),
    "api_screenings.api_screenings": get("/api/screenings"),
    "api_screenings.api_screening": get(*(f"/api{SCREENED}{more}" for more in LISTS)),
    "api_screenings.api_screening_export": get(f"/api{SCREENED}/export", f"/api{SCREENED}/export?format=csv"),
    "api_saved_searches.api_searches": get("/api/searches"),
    "api_imports.api_import_state": get(f"/api/import/{IMPORT}"),
    "api_mcp.mcp": (
        *called("search", query="common words"),
        *called("search", query="common", tags=[SKILLS[1]], without_tags=["cooking"], collection="jobs", limit=20),
        *called("read_document", id="job1", collection="jobs"),
        *called("similar", id="job1", collection="jobs"),
        *called("list_collections"),
        *called("match_skills", skills=MINE.split(", "), limit=20),
        *called("match_skills", skills=MINE.split(", "), job_id="job1"),
    ),
    "api_operations.api_health": get("/health"),
    "api_operations.api_livez": get("/livez"),
    "api_operations.api_monitoring_health": get("/api/monitoring/health"),
    "api_operations.api_monitoring_memory": get("/api/monitoring/memory"),
    "api_operations.api_metrics": get("/metrics"),
    "api_operations.api_stats": get("/api/stats"),
    "api_operations.api_openapi": get("/api/openapi.json"),
    "static": get("/static/style.css"),
}
NOTE = {"profile": "person1", "status": "shortlisted", "note": "to call"}
WRITES: dict[str, tuple[Visit, ...]] = {
    "api_documents.api_create": posted(
        "/api/documents", json={"id": "made", "title": "common words", "tags": [SKILLS[3]]}
    ),
    "api_documents.api_replace": posted(
        "/api/documents/job2?collection=jobs", "PUT", json={"title": "other", "tags": SKILLS[:3]}
    ),
    "api_documents.api_delete": posted("/api/documents/job3?collection=jobs", "DELETE"),
    "api_saved_searches.api_search_keep": posted("/api/searches", json={"address": "/text?q=rare"}),
    "api_saved_searches.api_search_run": posted(f"/api/searches/{SEARCH}/run", json={}),
    "api_saved_searches.api_search_drop": posted(f"/api/searches/{SEARCH}", "DELETE"),
    "api_screenings.api_screening_decide": posted(
        f"/api{SCREENED}/profiles/person1", "PUT", json={"status": "rejected"}
    ),
    "api_screenings.api_screening_begin": posted("/api/screenings", json={"job_id": "job1", "profiles": "people"}),
    "api_screenings.api_screening_run": posted(f"/api{SCREENED}/run", json={}),
    "api_screenings.api_screening_cancel": posted(f"/api{SCREENED}/cancel", json={}),
    "api_screenings.api_screening_delete": posted(f"/api{SCREENED}", "DELETE"),
}


def titled(name: str, count: int, tags: list[str], chance: random.Random) -> list[NewDocument]:
    """Return documents that all have two common words; every fourth has a rare one."""
    made = []
    for n in range(count):
        title = "".join(chance.choices(ascii_lowercase, k=9))
        body = "common words" + (" rare" if n % 4 == 0 else "")
        made.append(NewDocument(f"{name}{n}", title, body, tuple(chance.sample(tags, 6)), "en"))
    return made


def furnished(session: Session, much: int, others: int = 0, tags: int = 0) -> Semantic:
    """Fill a site: `much` of all that pages list, and other documents with other tags beside it."""
    chance = random.Random(7)
    fill(session, titled("person", much, SKILLS, chance), "people")
    if others:
        fill(session, titled("other", others, [f"thing {n} elsewhere" for n in range(tags)], chance), "others")
    side = fill(session, titled("job", much, SKILLS, chance), "jobs")
    screened(session, side, much)
    for n in range(min(much, 49)):
        one = save_search(session, BROWSER, f"a search {n}", f"/text?q=common&page={n + 1}&tag={n}")
        job = new_import(session, f"{n}.csv", Options("jobs"))
        if n == 0:
            one.id, job.id, job.state = SEARCH, IMPORT, "done"
        session.commit()
    write_documents(session, "jobs", titled("late", 1, SKILLS, chance))  # which is new in all that is kept
    if others:
        multiplied(session, 10)
    return side


def multiplied(session: Session, times: int) -> None:
    """Write the documents of the collection `others`, with what hangs on them, again and again under other keys."""
    here = f"SELECT id FROM document WHERE collection_id = {number('collection', 'others')} AND own_id LIKE 'other%'"
    hanging = ["document_tag", "embedding", "change"]
    if dialect(session) == "postgresql":  # SQLite's index of words is no table
        hanging.append("words")
    for table, key in (("document", "id"), *((name, "document_id") for name in hanging)):
        names = [one["name"] for one in inspect(session.connection()).get_columns(table)]
        listed = ", ".join(f'"{name}"' for name in names)
        other = ", ".join(f'("{name}" + n) % {2**62}' if name == key else f'"{name}"' for name in names)
        shifts = " UNION ALL ".join(f"SELECT CAST({n * 7_777_777} AS BIGINT) AS n" for n in range(1, times))
        session.execute(text(
            f"INSERT INTO {table} ({listed}) SELECT {other} FROM {table} CROSS JOIN ({shifts}) shifts"
            f" WHERE {key} IN ({here})"
        ))  # fmt: skip
    now = int(time.time())
    saved = [{"id": n, "browser": n, "name": "", "address": "/", "version": 0, "made_at": n, "used_at": now}
             for n in range(100, 10_000)]  # fmt: skip
    session.execute(SavedSearch.__table__.insert(), saved)  # type: ignore[attr-defined]
    more = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(1, 40))
    session.execute(text(
        "INSERT INTO screening_result (screening_id, document_id, version, score, status, note)"
        " SELECT screening_id + n, document_id, version, score, status, note"
        f" FROM screening_result CROSS JOIN ({more}) more"
    ))  # fmt: skip
    session.commit()


def screened(session: Session, side: Semantic, much: int) -> None:
    """Keep screenings, the first of them run and partly decided."""
    first = create_screening(session, BROWSER, screened_job(session, "jobs", "job1"), "people")
    first.id = SCREENING
    session.commit()
    bind = session.get_bind()
    assert run_waiting(lambda: Session(bind), side, Aliases) == 1
    session.expire_all()
    for n in range(0, much, 2):
        decide(session, first, f"person{n}", "shortlisted", "to call")
    for _ in range(min(much, 40) - 1):
        create_screening(session, BROWSER, screened_job(session, "jobs", "job1"), "people").state = "done"
        session.commit()


def visitor(app: Flask, side: Semantic) -> FlaskClient:
    """Return a client that keeps searches and screenings, and is an administrator."""
    use_semantic(app, side)
    app.config["WTF_CSRF_ENABLED"] = False  # forms are not what is looked at
    client = app.test_client()
    with client.session_transaction() as kept:
        kept["browser"] = BROWSER
    assert client.post("/signin", data={"key": "a token of the tests"}).status_code == 303
    return client
