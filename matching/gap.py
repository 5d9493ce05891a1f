"""What of one job's skills a person has, what is close, what is missing, and what the person has besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.bounds import check
from matching.jobs import asked, one_job, tags_in_order
from matching.places import Inside, place
from matching.scores import Answers, answers, coverages, percent, unused
from matching.skills import Skill, skills
from matching.vocabulary import vocabulary
from matching.weights import weights
from models import Document, document_number, tag_key
from search.query import Query
from search.semantic import Semantic
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


@dataclass(frozen=True, slots=True)
class Gap:
    """A person against one job; `coverage` is 0 to 1, and 0 where either has no skill."""

    job: Job
    coverage: float
    answers: Answers
    extra: tuple[str, ...]
    skills: tuple[Skill, ...]
    asks: int  # how many skills the job names
    is_whole: bool = True

    @property
    def match_percent(self) -> int:
        return percent(self.coverage)


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


def gap(session: Session, semantic: Semantic, collection: str, job: Job, names: Sequence[str], aliases: Aliases) -> Gap:
    """Return what a person with these skills has of a job; raises TooMuch."""
    check(names)
    own = skills(names, aliases)
    here = place(session, collection)
    tags = tags_in_order(session, [job.number]).get(job.number, [])
    numbers = np.array([tag for tag, _ in tags], np.int64)
    held = vocabulary(session, semantic, here, own, aliases, numbers.tolist()).known(own)
    weighed = weights(session, here, numbers)
    told = answers(asked(tags, dict(zip(numbers.tolist(), weighed.tolist(), strict=True))), held.matches)
    covered = coverages(one_job(job.number, numbers), weighed, held)
    extra = unused(own, held.matches.values())
    is_whole = held.is_whole or len(told.matched) == len(tags)
    return Gap(job, float(covered[0]), told, extra, own, len(tags), is_whole)
