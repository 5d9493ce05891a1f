"""A job or a profile with its skills, found by id or by title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.collection_state import Inside, place
from models import Document, document_number, tag_key
from search.query import Query
from search.text import TextQuery
from utils.hebrew import is_hebrew
from utils.sql import among

MOST_SAME_TITLE = 20
MOST_TITLES = 500  # documents having the words of a title, of which the title is compared


class NoSuchJob(LookupError):
    """No document of the collection has this id or title."""


class SeveralJobs(LookupError):
    """More than one job has the title; `choices` are their (id, title)."""

    def __init__(self, message: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.choices = tuple(choices)


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a collection, by its number, own id and title."""

    number: int
    id: str
    title: str

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title) else "ltr"


def job_by_id(session: Session, collection: str, own_id: str) -> Job:
    """Return a job by its own id; raises NoSuchJob."""
    return jobs_by_ids(session, collection, [own_id])[0]


def jobs_by_ids(session: Session, collection: str, own_ids: Sequence[str]) -> list[Job]:
    """Return jobs by their own ids, in their order, each once; one statement. Raises NoSuchJob."""
    numbers = {document_number(collection, one): one for one in own_ids}
    rows = select(Document.id, Document.own_id, Document.title).where(among(Document.id, numbers))
    found = {row[0]: Job(*row) for row in session.execute(rows)}
    if lacking := [one for number, one in numbers.items() if number not in found]:
        raise NoSuchJob(f"There is no document {lacking[0][:100]!r} in the collection {collection[:64]!r}.")
    return [found[number] for number in numbers]


def job_by_title(session: Session, collection: str, title: str) -> Job:
    """Return the one job of a title, spelled in any way; raises NoSuchJob and SeveralJobs."""
    asked = TextQuery(session, Query(text=title[:500]).parts())
    found = asked.matches(Inside.of_place(place(session, collection))).documents[:MOST_TITLES].tolist()
    rows = select(Document.id, Document.own_id, Document.title).where(among(Document.id, found))
    same = [Job(*row) for row in session.execute(rows.order_by(Document.own_id)) if tag_key(row[2]) == tag_key(title)]
    if not same:
        raise NoSuchJob(f"No document of the collection {collection[:64]!r} has the title {title[:100]!r}.")
    if len(same) > 1:
        choices = [(one.id, one.title) for one in same[:MOST_SAME_TITLE]]
        raise SeveralJobs(f"{len(same)} documents have the title {title[:100]!r}: name one by document_id.", choices)
    return same[0]
