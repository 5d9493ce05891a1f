"""No statement of matching reads a whole table: each is explained as it was executed, with what it was given."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from string import ascii_lowercase
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from indexing.documents import NewDocument
from matching import weights as weights_
from matching import wording
from matching.aliases import aliases
from matching.gap import gap, job_by_id, job_by_title, jobs_by_ids
from matching.learning import readings
from matching.matrix import jobs_matrix, people_matrix
from matching.named import named_skills
from matching.recommend import recommend
from matching.screenings import listed
from models import db
from search.filters import Filter
from search.kept import keep, kept, looked_at, version
from search.query import Query
from search.semantic import Semantic
from search.text import TextQuery
from tests.collections import fill
from tests.screened import found, ranked
from utils.sql import dialect, freshen_statistics

KNOWN = aliases()
GROWING = ("document", "document_tag", "tag", "tag_count", "tag_embedding")
JOBS, OTHERS, SKILLS = 150, 1_500, 60
Executed = list[tuple[str, Any]]


@contextmanager
def executed() -> Iterator[Executed]:
    said: Executed = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        said.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    yield said
    event.remove(db.engine, "before_cursor_execute", note)


def whole_reads(session: Session, statement: str, parameters: Any) -> list[str]:
    """Return the growing tables that a statement reads from end to end, as its database plans it."""
    if not statement.lstrip().upper().startswith("SELECT"):
        return []
    connection = session.connection()
    if dialect(session) == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row[3] for row in rows if any(_scans(row[3], table) for table in GROWING)]
    # As on a disk without moving parts: on another, reading a table of this size whole would be right.
    connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    found = plan if isinstance(plan, list) else json.loads(plan)
    return [
        f"{node['Node Type']} {node['Relation Name']}"
        for node in nodes(found[0]["Plan"])
        if node["Node Type"].endswith("Seq Scan") and node["Relation Name"] in GROWING
    ]


def _scans(step: str, table: str) -> bool:
    words = step.split()
    return words[0] == "SCAN" and words[1] == table


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


@pytest.fixture
def side(session: Session) -> Semantic:
    """Jobs, people and books that share skills, among many documents that have others; the planner knows of all."""
    chance = random.Random(7)
    skills = [f"skill {n} of many" for n in range(SKILLS)]

    def some(name: str, count: int, known: list[str]) -> list[NewDocument]:
        titles = ["".join(chance.choices(ascii_lowercase, k=9)) for _ in range(count)]
        tags = [tuple(chance.sample(known, 6)) for _ in range(count)]
        return [NewDocument(f"{name}{n}", titles[n], "", tags[n]) for n in range(count)]

    fill(session, some("person", 30, skills), "people")
    fill(session, some("book", 30, skills), "books")
    fill(session, some("other", OTHERS, [f"thing {n} elsewhere" for n in range(12_000)]), "others")
    side = fill(session, some("job", JOBS, skills), "jobs")
    freshen_statistics(session)
    if dialect(session) == "sqlite":
        session.execute(text("ANALYZE"))
        session.commit()
    return side


def recommended(session: Session, side: Semantic) -> None:
    names = ["skill 1 of many", "skill 2 of many (junior)", "many of skill 3", "cooking"]
    assert recommend(session, side, "jobs", names, "", 10, KNOWN).fits


def recommended_by_text(session: Session, side: Semantic) -> None:
    said = f"{job_by_id(session, 'jobs', 'job3').title}, skill 4 of many"
    assert recommend(session, side, "jobs", [], said, 10, KNOWN).found


def compared(session: Session, side: Semantic) -> None:
    found = gap(
        session, side, "jobs", job_by_id(session, "jobs", "job3"), ["skill 1 of many", "many of skill 3"], KNOWN
    )
    assert found.asks == 6


def found_by_title(session: Session, _side: Semantic) -> None:
    title = job_by_id(session, "jobs", "job3").title
    assert job_by_title(session, "jobs", title.upper()).id == "job3"


def found_in_text(session: Session, _side: Semantic) -> None:
    assert named_skills(session, "jobs", "knows skill 4 of many.", 10, KNOWN)


def jobs_beside(session: Session, side: Semantic) -> None:
    jobs = jobs_by_ids(session, "jobs", [f"job{n}" for n in range(10)])
    assert jobs_matrix(session, side, "jobs", jobs, ["skill 1 of many"], KNOWN).rows


def people_beside(session: Session, side: Semantic) -> None:
    people = jobs_by_ids(session, "people", [f"person{n}" for n in range(10)])
    assert people_matrix(session, side, "jobs", job_by_id(session, "jobs", "job3"), people, KNOWN).rows


def read_about(session: Session, _side: Semantic) -> None:
    assert readings(session, [f"skill {n} of many" for n in range(20)], ["jobs", "people"], KNOWN)


def profiles_ranked(session: Session, side: Semantic) -> None:
    one = ranked(session, side, "job3")
    assert found(session, one)
    assert not found(session, one, "skill=skill+1+of+many&not_skill=cooking&status=shortlisted&language=he&sort=title")
    assert listed(session, 1)


def searches_kept(session: Session, _side: Semantic) -> None:
    one = keep(session, 1, "a search", "/text?q=many")
    looked_at(session, one)
    assert kept(session, 1)
    since = Query(text="many", since=version(session) - 1)
    assert TextQuery(session, since.parts()).matches(Filter.of(since)).documents.tolist() is not None


ASKED: tuple[Callable[[Session, Semantic], None], ...] = (
    recommended, recommended_by_text, compared, found_by_title, found_in_text, jobs_beside, people_beside, read_about,
    profiles_ranked, searches_kept,
)  # fmt: skip


def test_no_statement_of_matching_reads_a_whole_table(session: Session, side: Semantic) -> None:
    """The index of the tags' embeddings, which takes all of them into memory, is loaded before."""
    for asked in ASKED:
        asked(session, side)
        weights_.forget()
        wording.forget()
        with executed() as said:
            asked(session, side)
        assert said
        for statement, parameters in said:
            assert whole_reads(session, statement, parameters) == [], f"{asked.__name__}: {statement}"


def test_a_statement_that_reads_a_whole_table_is_told(session: Session) -> None:
    assert whole_reads(session, "SELECT title FROM document WHERE title <> ''", None)
