"""Jobs and profiles with a known order, ranked in the test's own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import parse_qsl

from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from indexing.documents import NewDocument, write_documents
from indexing.embedding import embed
from jobs.claims import Sessions
from matching.aliases import Aliases
from models import Screening
from screening.columns import Column
from screening.listing import Listing
from screening.results import Result, ScreeningMatches
from screening.runner import ScreeningJobs
from screening.store import create_screening
from screening.vocabulary import screened_job
from search.semantic import Semantic
from tests.collections import ready_side

JOBS = (
    NewDocument("dev", "Python developer", "", ("Python (senior)", "SQL", "food safety rules", "Git (an advantage)")),
    NewDocument("cook", "טבח", "", ("בישול",)),
    NewDocument("blank", "Anything", "", ()),
)
PEOPLE = (
    NewDocument("noa", "נועה", "", ("python", "SQL (3 years)", "Git"), "he", extra={"years": "12", "city": "חיפה"}),
    NewDocument("dan", "Dan", "", ("SQL", "food safety"), "en", extra={"years": 3, "city": "Haifa; Acre"}),
    NewDocument("lia", "Lia", "", ("Git",), "en", extra={"years": "7.5", "city": "Acre", "about": "x" * 100}),
    NewDocument("avi", "אבי", "", ("בישול",), "he", extra={"city": "חיפה", "years": "unknown years"}),
    NewDocument("nobody", "Nobody", "Without a skill.", ()),
)


def run_waiting(sessions: Sessions, side: Semantic, skill_aliases: Callable[[], Aliases]) -> int:
    """Run every screening that waits or was cut off, in this thread, and return how many."""
    work, stop, count = ScreeningJobs(sessions, side, skill_aliases), threading.Event(), 0
    while work.run_next(stop):
        count += 1
    return count


def filled(session: Session) -> Semantic:
    """Write jobs and profiles, embed them, and return a side that can compare them."""
    write_documents(session, "jobs", list(JOBS))
    write_documents(session, "people", list(PEOPLE))
    side = ready_side()
    assert side.lazy.encoder is not None
    embed(session, side.lazy.encoder)
    return side


def opened(session: Session) -> AbstractContextManager[Session]:
    return Session(session.get_bind())


def begun(session: Session, job: str = "dev") -> int:
    return int(create_screening(session, 1, screened_job(session, "jobs", job), "people").id)


def run(session: Session, side: Semantic) -> int:
    session.rollback()
    return run_waiting(lambda: opened(session), side, Aliases)


def ranked(session: Session, side: Semantic, job: str = "dev") -> Screening:
    number = begun(session, job)
    assert run(session, side) == 1
    return fresh(session, number)


def fresh(session: Session, number: int) -> Screening:
    session.rollback()
    return session.get_one(Screening, number, populate_existing=True)


def found(session: Session, one: Screening, address: str = "") -> list[Result]:
    args: MultiDict[str, str] = MultiDict(parse_qsl(address))
    columns = [Column.of_json(kept) for kept in one.columns]
    return list(ScreeningMatches(session, one, Listing.from_args(args, columns), Aliases()).page().results)


def ids(session: Session, one: Screening, address: str = "") -> list[str]:
    return [result.id for result in found(session, one, address)]
