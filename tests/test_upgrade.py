"""Upgrades lose nothing: each former release fills a database, this one takes it over, beside it and back again."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, inspect, select, text

from app import create_app
from config import ROOT
from encoders.onnx_encoder import OnnxEncoder
from indexing.embedding import embed
from indexing.reindexing import index_stored
from models import Collection, db
from runtime import runtime_of
from screening.store import create_screening
from screening.vocabulary import screened_job
from tests.conftest import Started, closed, migrate, settings_for
from tests.databases import MAKERS
from tests.documents import stands_right
from tests.releases import Release, former_revisions, release
from tests.servers import Server, answering
from tests.waiting import until
from utils.terms import INDEX_VERSION

SEEN_S = 2.0
NEVER_RELEASED = ("0006",)
TOKEN = {"Authorization": "Bearer a token of the tests"}
DOCUMENTS = (
    {"id": "rent", "title": "חוזה שכירות", "body": "מה לבדוק בדירה לפני שחותמים.", "tags": ["דיור", "זכויות"]},
    {"id": "union", "title": "זכויות עובדים", "body": "עובדים מתארגנים יחד.", "tags": ["עבודה", "זכויות"], "year": 7},
    {"id": "soup", "title": "מרק עדשים", "body": "עדשים כתומות, בצל וכמון בסיר אחד.", "tags": ["בישול"]},
    {"id": "bread", "title": "Sourdough bread", "body": "Flour, water and patience.", "tags": ["baking"]},
)
LATER = {"id": "later", "title": "עוגת גזר", "body": "גזר מגורר, ביצים וקמח.", "tags": ["אפייה", "בישול"]}
# What a meaning finds without a word of it.
MEANT = (("a warm dish of legumes", "soup"), ("הסכם עם בעל הבית", "rent"))


@dataclass(frozen=True, slots=True)
class Filled:
    """A database that a former release made and filled, and how to have a copy of it."""

    former: Release
    settings: dict[str, str]
    copy: Callable[[Path], AbstractContextManager[str]]
    rows: dict[str, list[Any]]

    def environ(self, url: str, folder: Path) -> dict[str, str]:
        return {**self.settings, "DATABASE_URL": url, "INSTANCE_DIR": str(folder)}

    def imports_more(self, url: str, folder: Path) -> None:
        """Have the former release's commands write to a database."""
        (folder / "more.jsonl").write_text(json.dumps({"id": "tea", "title": "תה עם נענע", "tags": ["שתייה"]}))
        commands = ("import", str(folder / "more.jsonl"), "--collection", "house"), ("embed",)
        self.former.run(self.environ(url, folder), *commands)

    def site(self, url: str, folder: Path, root: Path) -> AbstractContextManager[Server]:
        folder.mkdir()
        own = {name: value for name, value in self.settings.items() if name != "PATH"}
        return answering(Server(folder, {"DATABASE_URL": url, **own}, root=root))


def tried() -> list[tuple[str, str]]:
    """Return (migration, kind of database): the last release on every kind, earlier ones on one PostgreSQL."""
    revisions = former_revisions()
    return [(one, kind) for one in revisions for kind in MAKERS if one == revisions[-1] or kind != "postgresql"]


@pytest.fixture(scope="module", params=tried(), ids="-".join)
def filled(
    request: pytest.FixtureRequest,
    started: Started,
    e5_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Filled]:
    revision, kind = request.param
    former = release(revision, tmp_path_factory.mktemp(f"release_{revision}"))
    folder, maker = tmp_path_factory.mktemp("filled"), started.maker(kind)
    (folder / "some.jsonl").write_text("\n".join(map(json.dumps, DOCUMENTS)), encoding="utf-8")
    settings = {
        "PATH": "/usr/bin:/bin", "SECRET_KEY": "a secret of the tests", "ADMIN_TOKEN": "a token of the tests",
        "SEMANTIC_MODEL": e5_folder.name, "MODELS_DIR": str(e5_folder.parent),
    }  # fmt: skip
    with maker.empty(folder) as url:
        environ = {**settings, "DATABASE_URL": url, "INSTANCE_DIR": str(folder)}
        commands = ("db", "upgrade"), ("import", str(folder / "some.jsonl"), "--collection", "house"), ("embed",)
        former.run(environ, *commands)
        lies_back(url)
        yield Filled(former, settings, partial(maker.copy, url), rows_of(url))


def lies_back(url: str) -> None:
    """Let what was written have been written two hours ago."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE document SET added_at = added_at - 7200, changed_at = changed_at - 7200"))
    engine.dispose()


def rows_of(url: str) -> dict[str, list[Any]]:
    """Return every row of every table, each with the names of its columns."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {name: rows(connection, name) for name in tables(engine)}
    engine.dispose()
    return found


def tables(engine: Engine) -> list[str]:
    return [name for name in inspect(engine).get_table_names() if name != "alembic_version"]


def rows(connection: Any, table: str) -> list[Any]:
    found = connection.execute(text(f"SELECT * FROM {table}")).mappings()
    return sorted(({**row} for row in found), key=repr)


@contextmanager
def opened(url: str, filled: Filled) -> Iterator[Flask]:
    """Give today's app on a database, with the model."""
    models = Path(filled.settings["MODELS_DIR"])
    folder = Path(tempfile.gettempdir())
    settings = settings_for(url, folder, semantic_model=filled.settings["SEMANTIC_MODEL"], models_dir=models)
    app = create_app(settings)
    with app.app_context():
        yield app
    closed(app)


def put(site: Server, fields: dict[str, Any], collection: str = "house") -> None:
    body = json.dumps(fields).encode()
    path = f"/api/documents/{fields['id']}?collection={collection}"
    answer = site.send("PUT", path, body, **TOKEN, Content_Type="application/json")
    assert answer.status in (200, 201), answer.text


def found(site: Server, words: str, mode: str = "text") -> list[str]:
    return [hit["id"] for hit in site.search(words, mode)["hits"]]


def is_found_by(site: Server, words: str, own_id: str, mode: str = "text") -> None:
    until(lambda: own_id in found(site, words, mode), f"{own_id} by {words}", SEEN_S)


def is_first(site: Server, words: str, own_id: str) -> bool:
    return own_id in found(site, words, "semantic")[:2]


def all_is_there(site: Server) -> None:
    """Everything that the former release wrote is found by words, tags and meaning."""
    for one in DOCUMENTS:
        assert one["id"] in found(site, str(one["title"]))
        kept = site.ask(f"/api/documents/{one['id']}", collection="house").json
        assert [kept["title"], kept["body"], kept["tags"]] == [one["title"], one["body"], one["tags"]]
    assert site.ask("/api/documents/union").json["extra"] == {"year": 7}
    assert {hit["id"] for hit in site.ask("/api/search", mode="tags", tag="זכויות").json["hits"]} == {"rent", "union"}
    for words, meant in MEANT:
        until(partial(is_first, site, words, meant), f"{meant} by {words}", 20)


def test_what_a_former_release_wrote_is_there_after_the_upgrade(filled: Filled, tmp_path: Path) -> None:
    with filled.copy(tmp_path) as url:
        migrate(url)
        now = rows_of(url)
        for table, before in filled.rows.items():
            names = list(before[0]) if before else []
            assert [{name: row[name] for name in names} for row in now[table]] == before, table
        with opened(url, filled) as app:
            [state] = filled.rows["state"]
            awaiting = 0 if state["analysis"] == INDEX_VERSION else len(DOCUMENTS)
            assert index_stored(db.session(), threading.Event()) == awaiting
            stands_right(db.session())
            assert db.session.execute(select(Collection.documents)).scalars().all() == [len(DOCUMENTS)]
            runtime_of(app).semantic.model.follow(db.session())


class Kept:
    """A search that a browser keeps on a site."""

    def __init__(self, site: Server, address: str) -> None:
        self._site = site
        body = json.dumps({"address": address}).encode()
        answer = site.send("POST", "/api/searches", body, Content_Type="application/json")
        assert answer.status == 201, answer.text
        self._cookie = answer.headers["Set-Cookie"].split(";")[0]

    def is_new(self) -> int:
        kept = self._site.send("GET", "/api/searches", Cookie=self._cookie).json["searches"]
        return int(kept[0]["new"])


def test_both_releases_serve_and_then_the_former_alone_after_a_downgrade(filled: Filled, tmp_path: Path) -> None:
    if filled.former.revision in NEVER_RELEASED:
        pytest.skip("no site ran it: its word index was numbered otherwise, and is made again by the release after it")
    with filled.copy(tmp_path) as url, ExitStack() as stack:
        old = stack.enter_context(filled.site(url, tmp_path / "old", filled.former.root))
        assert found(old, "עדשים") == ["soup"]
        migrate(url)  # while the former release serves
        importing = stack.enter_context(ThreadPoolExecutor()).submit(filled.imports_more, url, tmp_path)
        new = stack.enter_context(filled.site(url, tmp_path / "new", ROOT))
        importing.result()
        side_by_side(old, new)
        assert new.stop() == 0
        with opened(url, filled) as app:
            index_stored(db.session(), threading.Event())
            stands_right(db.session())
            embed(db.session(), OnnxEncoder(Path(filled.settings["MODELS_DIR"], filled.settings["SEMANTIC_MODEL"])))
            create_screening(db.session(), 1, screened_job(db.session(), "house", "rent"), "house")
            db.session.remove()
            flask_migrate.Migrate(app, db)
            flask_migrate.downgrade(str(ROOT / "migrations"), revision=filled.former.revision)
        is_found_by(old, "carrot cake", "later", "semantic")
        put(old, {**LATER, "title": "עוגת תפוחים"})
        is_found_by(old, "תפוחים", "later")


def side_by_side(old: Server, new: Server) -> None:
    """Both answer and write; this one finds by words what the former wrote, which finds this one's by tags."""
    kept = Kept(new, "/tags?tag=בישול")
    all_is_there(old)
    all_is_there(new)
    put(old, LATER)
    is_found_by(new, "גזר", "later")
    until(lambda: kept.is_new() == 1, "a new document of the former release", SEEN_S)
    put(old, {**DOCUMENTS[2], "tags": ["בישול", "חורף"]})
    until(lambda: kept.is_new() == 2, "a document that the former release changed", SEEN_S)
    put(new, {"id": "newer", "title": "לביבות", "body": "תפוחי אדמה וקישואים.", "tags": ["בישול"]})
    listed = old.ask("/api/search", mode="tags", tag="בישול").json["hits"]  # its word index is another
    assert "newer" in {hit["id"] for hit in listed}
    assert new.send("DELETE", "/api/documents/bread?collection=house", None, **TOKEN).status == 204
    until(lambda: "bread" not in found(old, "sourdough"), "what was deleted", SEEN_S)
    assert old.send("DELETE", "/api/documents/newer?collection=house", None, **TOKEN).status == 204
    until(lambda: "newer" not in found(new, "קישואים"), "what was deleted", SEEN_S)
    for site in (old, new):
        is_found_by(site, "mint tea", "tea", "semantic")
