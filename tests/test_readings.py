"""A missing skill is explained by documents of other collections that have it as a tag, found in few statements."""

from __future__ import annotations

from sqlalchemy.orm import Session

from indexing.documents import NewDocument, write_documents
from matching.aliases import aliases
from matching.readings import MOST_MISSING, readings
from tests.test_matching import JOBS, counted

KNOWN = aliases()
BOOKS = (
    NewDocument("intro", "Python for all", "", ("Python", "books")),
    NewDocument("deep", "More Python", "", ("python",)),
    NewDocument("third", "Python again", "", ("Python",)),
    NewDocument("sheets", "גיליונות", "", ("אקסל",)),
    NewDocument("js", "Scripts", "", ("JS",)),
)


def write(session: Session) -> None:
    write_documents(session, "jobs", JOBS)
    write_documents(session, "profiles", [NewDocument("ann", "Ann", "", ("Python", "SQL"))])
    write_documents(session, "books", BOOKS)


def test_two_documents_at_most_explain_a_skill_however_it_is_written(session: Session) -> None:
    write(session)
    found = readings(session, ["Python (senior, 5 years)", "SQL", "javascript"], ["jobs", "profiles"], KNOWN)
    assert set(found) == {"Python (senior, 5 years)", "javascript"}
    assert len(found["Python (senior, 5 years)"]) == 2
    assert {one.collection for one in found["Python (senior, 5 years)"]} == {"books"}
    assert [(one.id, one.title) for one in found["javascript"]] == [("js", "Scripts")]


def test_aliases_are_followed(session: Session) -> None:
    write(session)
    (only,) = readings(session, ["Excel"], ["jobs"], KNOWN)["Excel"]
    assert (only.id, only.direction) == ("sheets", "rtl")


def test_two_spellings_of_a_skill_are_explained_alike(session: Session) -> None:
    write(session)
    found = readings(session, ["javascript", "JS"], ["jobs"], KNOWN)
    assert found["javascript"] == found["JS"]
    assert [one.id for one in found["JS"]] == ["js"]


def test_it_takes_two_statements_and_no_more_than_some_skills(session: Session) -> None:
    write(session)
    with counted() as said:
        found = readings(session, [f"skill {n}" for n in range(MOST_MISSING)] + ["Python"], ["jobs"], KNOWN)
    assert (found, len(said)) == ({}, 1)
    with counted() as said:
        assert len(readings(session, ["Python", "SQL", "javascript"], ["jobs"], KNOWN)) == 3
    assert len(said) == 2
    assert readings(session, [], ["jobs"], KNOWN) == {}
