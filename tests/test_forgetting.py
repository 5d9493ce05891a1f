"""A document that is forgotten leaves no trace: not in a table, a file of the database, a folder, a cache or a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import Engine, event, inspect, select, text
from sqlalchemy.orm import Session

from config import Settings
from indexes.embedding_segments import packed_segments, packed_state
from indexes.embedding_space import EmbeddingSpace
from indexes.mapped_index import index_path, loaded_index
from indexes.packing import pack_embeddings
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from indexing.layout import Options
from jobs.imports import accept
from jobs.uploads import upload_path
from matching.aliases import Aliases
from models import Collection, Document, ImportChange, Job, Screening, ScreeningResult, Tag, db, document_number
from operations.audit import about_document, about_profile, record
from operations.forgetting import Forgotten, Places, forget_document
from runtime import runtime_of
from screening.store import create_screening, decide
from screening.vocabulary import screened_job
from search.query import Query
from search.search import search
from tests.collections import ready_side
from tests.commands import run
from tests.documents import found, stands_right
from tests.fakes import HashedWords
from tests.redis_server import RedisServer, redis_server
from tests.screened import run_waiting
from tests.semantic_side import use_semantic
from tests.visits import page
from utils.redis_cache import RedisCache

# In its title, body, tags, columns, id, notes, uploads and former text; no other document has any of them.
WORDS = ("quetzalcoatl", "axolotl", "tlaloc", "xipetotec", "huitzil", "mictlan", "tezcatl", "former77")
SECRET = NewDocument(
    "huitzil-1", "Quetzalcoatl Smith", "An axolotl of one's own, and SQL.", ("SQL", "tlaloc dancing"), "en",
    extra={"city": "xipetotec", "years": "7"},
)  # fmt: skip
OTHERS = [
    NewDocument(f"p{n}", f"Person {n}", f"Common text {n} and SQL.", ("SQL", "dancing"), "en", extra={"city": "Acre"})
    for n in range(40)
]
server = redis_server
SPACE = EmbeddingSpace.of(HashedWords.manifest)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexes.packing.EXACT_ROWS", 20)
    monkeypatch.setattr("indexes.packing.LEAST_CHANGES", 1)


@pytest.fixture
def site(app: Flask) -> Flask:
    """A site on which the document has left a trace wherever one can be left."""
    engine = runtime_of(app).engine
    if engine.dialect.name == "sqlite":  # on some systems deleting overwrites by itself
        event.listen(engine, "checkout", lambda connection, *_: connection.execute("PRAGMA secure_delete = OFF"))
    with app.app_context():
        session, folder = db.session(), runtime_of(app).upload_folder
        write_documents(session, "people", [NewDocument("huitzil-1", "Before", "former77 words", ("tezcatl",))])
        write_documents(session, "people", [*OTHERS, SECRET])
        write_documents(session, "jobs", [NewDocument("dev", "Developer", "", ("SQL", "dancing"))])
        use_semantic(app, ready_side())
        embed(session, HashedWords())
        pack_embeddings(session, SPACE)
        packed = packed_state(session, SPACE)
        assert packed is not None
        loaded_index(session, runtime_of(app).index_folder, SPACE, packed, lambda _: False)
        screened(session)
        file = accept(session, folder, "people.csv", lambda path: path.write_bytes(CSV), Options("people"))
        file.report = {"new": 1, "rejects": [{"line": "3", "reason": "x", "row": "axolotl"}]}
        (folder / f"{file.id}-people.csv.rejects.csv").write_text("axolotl", encoding="utf-8")
        changed = document_number("people", "huitzil-1")
        session.add(ImportChange(job_id=file.id, document_id=changed, after=b"x", before=b"axolotl"))
        record(session, "document written", about_document("people", "huitzil-1"))
        record(session, "screening decided", about_profile(7, "huitzil-1"))
        session.commit()
    return app


FILES = """
SELECT pg_read_binary_file(pg_relation_filepath(oid)) FROM pg_class
WHERE relkind IN ('r', 'i', 't') AND relnamespace IN ('public'::regnamespace, 'pg_toast'::regnamespace)
"""
CSV = b"id,title\nhuitzil-1,Quetzalcoatl Smith\n"


def screened(session: Session) -> None:
    screening = create_screening(session, 1, screened_job(session, "jobs", "dev"), "people")
    assert run_waiting(lambda: Session(session.get_bind()), ready_side(), Aliases) == 1
    session.expire_all()
    assert decide(session, screening, "huitzil-1", "shortlisted", "mictlan speaks well", "visitor")
    assert any("xipetotec" in str(column) for column in screening.columns)


def forget(app: Flask) -> Forgotten:
    process = runtime_of(app)
    places = Places(process.upload_folder, process.index_folder, process.empty_caches)
    with app.app_context():
        return forget_document(db.session(), "people", "huitzil-1", places)


def everything_stored(engine: Engine) -> bytes:
    """Return every value of every table, former and derived ones too; with PostgreSQL also the tables' files."""
    parts: list[bytes] = []
    with engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{name}"')):
                parts += [bytes(each) if isinstance(each, memoryview | bytes) else str(each).encode() for each in row]
        if engine.dialect.name == "postgresql":
            connection.execute(text("CHECKPOINT"))
            parts += [bytes(row[0]) for row in connection.execute(text(FILES))]
    return b"\n".join(parts)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_left_in_the_database_or_the_folder(site: Flask, tmp_path: Path) -> None:
    engine = runtime_of(site).engine
    before = everything_stored(engine).lower()
    assert [word for word in WORDS if word.encode() not in before] == []
    forgotten = forget(site)
    assert forgotten.left == []
    assert forgotten.is_stored
    nothing = {name for name, count in forgotten.counts.items() if not count}
    assert nothing <= {"screenings of this job", "cached answers"}
    with site.app_context():
        db.session.remove()
    after = everything_stored(engine).lower()
    assert [word for word in WORDS if word.encode() in after] == []
    for name, content in files_of(tmp_path).items():
        assert [word for word in WORDS if word.encode() in content.lower()] == [], name


def test_the_others_stay_as_they_were(site: Flask) -> None:
    folder = runtime_of(site).index_folder
    forget(site)
    with site.app_context():
        session, number = db.session(), document_number("people", "huitzil-1")
        stands_right(session)
        assert session.get(Document, number) is None
        assert found(session, "quetzalcoatl") == found(session, "axolotl") == []
        assert len(found(session, "common")) == 40
        assert session.execute(select(Collection.documents).where(Collection.name == "people")).scalar_one() == 40
        assert set(session.execute(select(Tag.name)).scalars()) == {"SQL", "dancing"}
        assert not any((each.keys == number).any() for each in packed_segments(session, SPACE.model))
        assert not index_path(folder, SPACE.model).exists()
        packed = packed_state(session, SPACE)
        assert packed is not None
        index = loaded_index(session, folder, SPACE, packed, lambda _: False)
        assert index.header.documents == 41
        assert index.places(np.array([number])).tolist() == []
        page_of_hits = search(session, Query(text="Common text 7", mode="semantic"), ready_side())
        assert page_of_hits.total >= 1


def test_screenings_go_on_without_it(site: Flask) -> None:
    forget(site)
    with site.app_context():
        session = db.session()
        screening = session.execute(select(Screening)).scalar_one()
        assert (screening.state, screening.vocabulary) == ("waiting", {})
        assert run_waiting(lambda: Session(session.get_bind()), ready_side(), Aliases) == 1
        session.expire_all()
        assert screening.state == "done"
        assert len(session.execute(select(ScreeningResult)).scalars().all()) == 40
        assert "xipetotec" not in str(screening.columns)


def test_a_job_that_is_forgotten_takes_the_screenings_against_it_along(site: Flask) -> None:
    process = runtime_of(site)
    places = Places(process.upload_folder, process.index_folder, process.empty_caches)
    with site.app_context():
        assert forget_document(db.session(), "jobs", "dev", places).counts["screenings of this job"] == 1
        assert db.session.execute(select(Screening)).first() is None
        assert db.session.execute(select(ScreeningResult)).first() is None


def test_what_was_deleted_or_never_there_leaves_nothing_either(site: Flask) -> None:
    with site.app_context():
        delete_documents(db.session(), [document_number("people", "huitzil-1")])
    first, second = forget(site), forget(site)
    assert not first.is_stored
    assert first.counts["word segments"] > 0
    assert {name for name, count in second.counts.items() if count} <= {"screenings cleaned"}
    after = everything_stored(runtime_of(site).engine).lower()
    assert [word for word in WORDS if word.encode() in after] == []


def test_an_import_that_waits_keeps_nothing_and_one_of_another_collection_everything(site: Flask) -> None:
    with site.app_context():
        folder = runtime_of(site).upload_folder
        other = accept(db.session(), folder, "other.csv", lambda path: path.write_bytes(CSV), Options("books"))
        other_path = upload_path(folder, other)
    assert forget(site).counts["files"] == 2
    assert other_path.exists()
    with site.app_context():
        reports = [job.report for job in db.session.execute(select(Job)).scalars()]
        assert {"new": 1, "rejects": []} in reports


def test_a_command_forgets_and_says_what(settings: Settings, site: Flask) -> None:
    asked = run(settings, "forget", "--document", "huitzil-1", "--collection", "people", "--yes")
    assert asked.returncode == 0, asked.stderr
    assert "documents: 1" in asked.stdout
    assert "Backups" in asked.stdout
    again = run(settings, "forget", "--document", "huitzil-1", "--collection", "people", "--yes")
    assert again.returncode == 0
    assert "No document 'huitzil-1' was stored" in again.stdout
    told = run(settings, "audit", "--action", "document forgotten").stdout
    assert "people: forgotten" in told
    assert "huitzil" not in run(settings, "audit").stdout


def test_an_admin_forgets_on_a_page_and_nobody_else(site: Flask) -> None:
    site.config["WTF_CSRF_ENABLED"] = False
    address = "/forget?document=huitzil-1&collection=people"
    visitor = site.test_client()
    assert visitor.get(address).status_code == 303
    assert visitor.post("/forget", data={"document": "huitzil-1", "collection": "people"}).status_code == 401
    assert "/forget?" not in visitor.get("/documents/huitzil-1").get_data(as_text=True)
    client = site.test_client()
    client.post("/signin", data={"key": "a token of the tests"})
    assert address.replace("&", "&amp;") in client.get("/documents/huitzil-1").get_data(as_text=True)
    for lang, said in (("en", "Erase for good"), ("he", "מחיקה לצמיתות")):
        asked = page(client, f"{address}&lang={lang}")
        assert said in asked.text
        assert "Quetzalcoatl Smith" in asked.text
    done = client.post("/forget?lang=en", data={"document": "huitzil-1", "collection": "people"})
    assert done.status_code == 200
    assert done.headers["Cache-Control"] == "private, no-store"
    assert "with every trace" in done.get_data(as_text=True)
    assert client.get(address).status_code == 404


def test_what_redis_keeps_is_emptied(site: Flask, server: RedisServer) -> None:
    cache = RedisCache(server.url, "matmon:test")
    for name in ("matmon:test:results:a", "matmon:test:skills:b", "matmon:test:rate:c", "matmon:other:results:d"):
        server.client.set(name, "quetzalcoatl")
    process = runtime_of(site)
    process.shared_cache = cache
    assert forget(site).counts["cached answers"] == 2
    assert sorted(server.client.keys()) == [b"matmon:other:results:d", b"matmon:test:rate:c"]
    server.kill()
    assert forget(site).left == ["cache"]
