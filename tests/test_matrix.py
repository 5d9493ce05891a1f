"""Several jobs, or several people, beside one another: the same figures as each alone, in as many statements."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from api.matching import matrix_json
from indexing.documents import NewDocument
from matching.aliases import aliases
from matching.compare import Matrix, gap, jobs_matrix, people_matrix
from matching.documents import NoSuchJob, jobs_by_ids
from matching.limits import MOST_COLUMNS, TooMuch
from search.semantic import Semantic
from tests.collections import fill, off_side
from tests.test_matching import JOBS, counted

KNOWN = aliases()
PEOPLE = (
    NewDocument("ann", "Ann", "", ("Python (junior)", "SQL", "juggling")),
    NewDocument("ben", "בן", "", ("python (expert)", "אנגלית", "Git", "food safety")),
    NewDocument("none", "Nobody yet", "", ()),
)


def jobs_beside(session: Session, side: Semantic, ids: list[str], *names: str) -> Matrix:
    return jobs_matrix(session, side, "jobs", jobs_by_ids(session, "jobs", ids), names, KNOWN)


def people_beside(session: Session, side: Semantic, job: str, ids: list[str]) -> Matrix:
    people = jobs_by_ids(session, "people", ids)
    return people_matrix(session, side, "jobs", jobs_by_ids(session, "jobs", [job])[0], people, KNOWN)


def cells(found: Matrix, skill: str) -> list[str | None]:
    row = next(one for one in found.rows if one.skill == skill)
    return [cell.state if cell else None for cell in row.cells]


def test_one_person_against_jobs_has_a_row_a_skill_and_a_column_a_job(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    found = jobs_beside(session, side, ["dev", "data", "cook"], "python", "SQL", "food safety")
    assert [column.document.id for column in found.columns] == ["dev", "data", "cook"]
    assert cells(found, "Python") == ["has", None, None]
    assert cells(found, "SQL") == ["has", "has", None]
    assert cells(found, "English") == ["missing", None, "missing"]
    assert cells(found, "food safety rules") == [None, None, "close"]
    assert found.columns[0].extra == ("food safety",)


def test_a_column_says_what_the_job_alone_says(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    names = ("python 3", "SQL", "English", "food safety", "juggling")
    found = jobs_beside(session, side, ["dev", "data", "cook", "blank"], *names)
    for place, column in enumerate(found.columns):
        alone = gap(session, side, "jobs", column.document, names, KNOWN)
        assert (column.coverage, column.extra) == (pytest.approx(alone.coverage), alone.extra)
        answered = {cell.answer for row in found.rows if (cell := row.cells[place]) is not None and cell.answer}
        assert answered == set(alone.answers.matched)


def test_people_against_one_job_are_each_told_by_their_own_level(session: Session) -> None:
    fill(session, PEOPLE, "people")
    side = fill(session, JOBS, "jobs")
    found = people_beside(session, side, "dev", ["ann", "ben", "none"])
    assert [row.skill for row in found.rows] == ["Python", "SQL", "Git", "English"]
    assert cells(found, "Python") == ["close", "has", "missing"]
    assert cells(found, "SQL") == ["has", "missing", "missing"]
    assert cells(found, "English") == ["missing", "has", "missing"]
    assert [column.match_percent for column in found.columns][2] == 0
    assert found.columns[0].extra == ("juggling",)
    for column, person in zip(found.columns, PEOPLE, strict=True):
        alone = gap(session, side, "jobs", jobs_by_ids(session, "jobs", ["dev"])[0], person.tags, KNOWN)
        assert column.coverage == pytest.approx(alone.coverage)


def test_the_answer_names_columns_and_cells(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    told = matrix_json(jobs_beside(session, side, ["dev", "data"], "python (junior)", "SQL"), side)
    assert [(one["id"], one["match_percent"] > 0) for one in told["columns"]] == [("dev", True), ("data", True)]
    first = told["rows"][0]
    assert (first["skill"], first["cells"][1]) == ("Python", None)
    assert (first["cells"][0]["state"], first["cells"][0]["below"]) == ("close", True)
    assert told["rows"][3]["cells"][0] == {"state": "missing", "required": "English", "optional": False}


def test_the_statements_are_as_many_for_ten_as_for_one(session: Session) -> None:
    fill(session, [NewDocument(f"p{n}", f"Person {n}", "", ("SQL", f"skill {n}")) for n in range(10)], "people")
    side = fill(session, [*JOBS, *(NewDocument(f"j{n}", f"Job {n}", "", ("SQL", f"x {n}")) for n in range(10))], "jobs")
    for beside in (
        lambda count: jobs_beside(session, side, [f"j{n}" for n in range(count)], "SQL", "Git"),
        lambda count: people_beside(session, side, "dev", [f"p{n}" for n in range(count)]),
    ):
        beside(1)
        with counted() as one:
            beside(1)
        with counted() as ten:
            beside(10)
        assert len(ten) <= len(one) + 2 <= 16


def test_more_than_stand_beside_one_another_none_and_unknown_ones_are_refused(session: Session) -> None:
    fill(session, JOBS, "jobs")
    (dev,) = jobs_by_ids(session, "jobs", ["dev"])
    for jobs in ([], [dev] * (MOST_COLUMNS + 1)):
        with pytest.raises(TooMuch):
            jobs_matrix(session, off_side(), "jobs", jobs, ["SQL"], KNOWN)
    with pytest.raises(NoSuchJob, match="nobody"):
        jobs_by_ids(session, "jobs", ["dev", "nobody"])
