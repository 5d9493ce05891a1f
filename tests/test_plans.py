"""No statement of matching reads a whole table: each is explained as it was executed, with what it was given."""

from __future__ import annotations

import random
from collections.abc import Callable
from string import ascii_lowercase

import pytest
from sqlalchemy.orm import Session

from indexing.documents import NewDocument
from matching import idf as weights_
from matching import tag_names as wording
from matching.aliases import aliases
from matching.compare import gap, jobs_matrix, people_matrix
from matching.documents import job_by_id, job_by_title, jobs_by_ids
from matching.mentions import mentions
from matching.readings import readings
from matching.recommend import recommend
from screening.store import saved_screenings
from search.query import Query
from search.saved_searches import current_version, mark_viewed, save_search, saved_searches
from search.semantic import Semantic
from search.text import TextQuery
from tests.collections import fill
from tests.plans import executed, whole_reads
from tests.screened import found, ranked
from utils.sql import freshen_statistics

KNOWN = aliases()
# Of embeddings there are too few here for an index to pay; test_page_plans.py has more.
GROWING = frozenset({"document", "document_tag", "tag", "tag_count", "tag_embedding"})
JOBS, OTHERS, SKILLS = 150, 1_500, 60


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
    assert mentions(session, "jobs", "knows skill 4 of many.", 10, KNOWN)


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
    assert saved_screenings(session, [1])


def searches_kept(session: Session, _side: Semantic) -> None:
    one = save_search(session, 1, "a search", "/text?q=many")
    mark_viewed(session, one)
    assert saved_searches(session, [1])
    since = Query(text="many", since=current_version(session) - 1)
    assert TextQuery(session, since.parts()).matches(since.filter()).documents.tolist() is not None


ASKED: tuple[Callable[[Session, Semantic], None], ...] = (
    recommended, recommended_by_text, compared, found_by_title, found_in_text, jobs_beside, people_beside, read_about,
    profiles_ranked, searches_kept,
)  # fmt: skip


def test_no_statement_of_matching_reads_a_whole_table(session: Session, side: Semantic) -> None:
    """The index of the tags' embeddings, which takes all of them into memory, is loaded before."""
    for asked in ASKED:
        asked(session, side)
        weights_.clear_idf_cache()
        wording.clear_names_cache()
        with executed() as said:
            asked(session, side)
        assert said
        for statement, parameters in said:
            assert whole_reads(session, statement, parameters, GROWING) == [], f"{asked.__name__}: {statement}"


def test_a_statement_that_reads_a_whole_table_is_told(session: Session) -> None:
    assert whole_reads(session, "SELECT title FROM document WHERE title <> ''", None)
