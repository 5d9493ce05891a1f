"""No address reads a whole table without a reason that stands here: each statement is explained as it was executed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from indexes.version import caught_up
from indexing.documents import NewDocument, write_documents
from indexing.embedding import needs_embedding
from models import db
from runtime import runtime_of
from tests.conftest import Started, closed, settings_for
from tests.databases import MAKERS
from tests.plans import executed, whole_reads
from tests.visited import READS, WRITES, Visit, furnished, visitor
from utils.sql import freshen_statistics

# What may read a whole table, by a part of its statement.
REASONS = {
    r"FROM embedding WHERE model_id = \S+\)? ?(found)?$": "the index in memory is loaded, once a process",
    r"FROM \(SELECT tag_id, 0, vector FROM tag_embedding": "tags in memory are compared once for each version",
    r"^SELECT id FROM document WHERE 1 = 1 .* ORDER BY id LIMIT": "keys that pass a filter, up to a bound",
    r"^SELECT id FROM document WHERE version > ": "what is new: by the index, unless most of the documents are",
    r"^SELECT document.id \nFROM document \n LIMIT \S+$": "one row: whether the servers of documents answer",
    r"^SELECT count\(\*\) AS count_1 \nFROM saved_search$": "MOST_KEPT at the most, when one more is kept",
    r"LIMIT \S+\) (AS anon_1|found)$": "counts that end at a bound: MOST_COUNTED tags, 20,000 documents",
    r"^SELECT count\(distinct\(tag_count.tag_id\)\)": "the tags in use, counted for an operator's page",
    r"^SELECT model.name, model.dim": "embeddings by model, counted for an operator's page",
    r"^SELECT count\(\*\) AS count_1 \nFROM tag_embedding": "tags with an embedding, counted for an operator's page",
    r"^SELECT count\(\*\) AS count_1 \nFROM embedding JOIN document": "counted once for each version of the database",
    r"^SELECT document_tag.document_id, tag.name [\s\S]* document_tag.place, document_tag.tag_id$": "the tags of 200"
    " documents of an export: where tags are few, most are among them",
    r"\) counted$": "embeddings, counted once when the index is loaded into memory",
}


def is_known(statement: str) -> bool:
    return any(re.search(part, statement) for part in REASONS)


@pytest.fixture(scope="module", params=list(MAKERS))
def client(
    request: pytest.FixtureRequest, started: Started, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FlaskClient]:
    folder: Path = tmp_path_factory.mktemp("furnished")
    with started.maker(request.param).fresh(folder) as url:
        app = create_app(settings_for(url, folder, rate_limit="100000/minute", background="worker"))
        with app.app_context():
            side = furnished(db.session(), 150, 1_500, 6_000)
            freshen_statistics(db.session())  # SQLite has none: nor has it on a site
            db.session.remove()
            yield visitor(app, side)
        closed(app)


def faults(client: FlaskClient, visits: tuple[Visit, ...]) -> list[str]:
    """Return what reads a whole table on these visits, without a reason."""
    found, seen = [], set()
    for visit in visits:
        with executed() as said:
            answer = visit.made(client)
        assert answer.status_code < 400, f"{visit}: {answer.get_data(as_text=True)[:300]}"
        for statement, parameters in said:
            if statement not in seen and not is_known(statement):
                seen.add(statement)
                found += [f"{visit}: {one}: {statement}" for one in whole_reads(db.session(), statement, parameters)]
        db.session.rollback()
    return found


@pytest.mark.parametrize("endpoint", READS)
def test_no_page_reads_a_whole_table_without_a_reason(client: FlaskClient, endpoint: str) -> None:
    assert faults(client, READS[endpoint]) == []


def test_no_write_reads_a_whole_table_without_a_reason(client: FlaskClient) -> None:
    assert [one for visits in WRITES.values() for one in faults(client, visits)] == []


def test_a_workers_look_reads_what_was_written_since(client: FlaskClient) -> None:
    session, side = db.session(), runtime_of(client.application).semantic
    seen = caught_up(session)
    assert side.model.key
    with executed() as said:
        assert not needs_embedding(session, side.model.key, seen)
        write_documents(session, "jobs", [NewDocument("owed", "not embedded", "", ("a new tag",))])
        assert needs_embedding(session, side.model.key, seen)
    assert not [one for one in said if not is_known(one[0]) and whole_reads(session, *one)]
