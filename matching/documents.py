"""Jobs and profiles with their skills, looked up by id or by title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from indexes.access import is_hidden
from matching.collection_state import CollectionFilter, collection_state
from models import Document, document_number, tag_key
from search.query import Query
from search.text import TextQuery
from utils.hebrew import is_hebrew
from utils.messages import Refusal
from utils.sql import among

MOST_SAME_TITLE = 20
MOST_TITLES = 500  # documents with the words of a title whose titles are compared


class NoSuchJob(Refusal):
    """No document of the collection has this id or title."""


class SeveralJobs(Refusal):
    """Several jobs have the title; `choices` are their (id, title)."""

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__("ambiguous", title=title)
        self.choices = tuple(choices)


@dataclass(frozen=True, slots=True)
class JobDocument:
    """A document of a collection: primary key, its own id and title."""

    number: int
    id: str
    title: str

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title) else "ltr"


def job_by_id(session: Session, collection: str, own_id: str) -> JobDocument:
    """Return a job by its own id; raises NoSuchJob."""
    return jobs_by_ids(session, collection, [own_id])[0]


def jobs_by_ids(session: Session, collection: str, own_ids: Sequence[str]) -> list[JobDocument]:
    """Return the distinct jobs with these own ids, in order; one statement. Raises NoSuchJob."""
    numbers = {document_number(collection, own_id): own_id for own_id in own_ids}
    rows = select(Document.id, Document.own_id, Document.title).where(among(Document.id, numbers))
    jobs = {row[0]: JobDocument(*row) for row in session.execute(rows)} if not is_hidden(session, collection) else {}
    if missing := [own_id for number, own_id in numbers.items() if number not in jobs]:
        raise NoSuchJob("not_found.id", id=missing[0][:100], collection=collection[:64])
    return [jobs[number] for number in numbers]


def job_by_title(session: Session, collection: str, title: str) -> JobDocument:
    """Return the only job with this title, ignoring case and spelling variants; raises NoSuchJob and SeveralJobs."""
    text_query = TextQuery(session, Query(text=title[:500]).parts())
    documents = text_query.matches(CollectionFilter.of_state(collection_state(session, collection))).documents
    document_ids = documents[:MOST_TITLES].tolist()
    rows = select(Document.id, Document.own_id, Document.title).where(among(Document.id, document_ids))
    same = [
        JobDocument(*row)
        for row in session.execute(rows.order_by(Document.own_id))
        if tag_key(row[2]) == tag_key(title)
    ]
    if not same:
        raise NoSuchJob("not_found.title", title=title[:100], collection=collection[:64])
    if len(same) > 1:
        raise SeveralJobs(title[:100], [(job.id, job.title) for job in same[:MOST_SAME_TITLE]])
    return same[0]
