"""What of one job's skills a person has, what is close, what is missing, and what the person has besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.bounds import check
from matching.jobs import asked_tags, tags_by_job
from matching.scores import Answers, Asked, answers, coverage, percent, unused
from matching.skills import Skill, skill, skills
from matching.vocabulary import Match, close, size
from models import Document, document_number, tag_key
from search.filters import Filter
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
    rows = select(Document.id, Document.own_id, Document.title)
    row = session.execute(rows.where(Document.id == document_number(collection, own_id))).one_or_none()
    if row is None:
        raise NoSuchJob(f"There is no document {own_id[:100]!r} in the collection {collection[:64]!r}.")
    return Job(*row)


def job_by_title(session: Session, collection: str, title: str) -> Job:
    """Return the one job of a title, spelled in any way; raises NoSuchJob and SeveralJobs."""
    asked = TextQuery(session, Query(text=title[:500]).parts())
    found = asked.matches(Filter.of(Query(collection=collection))).documents[:MOST_TITLES].tolist()
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
    asked = asked_tags(session, [job.number], collection, size(session, collection), aliases)
    order = next((tags for _, tags in tags_by_job(session, [job.number])), [])
    pairs = [(tag, asked[tag]) for tag in order if tag in asked]
    matches, is_whole = _matches(session, semantic, pairs, own, aliases)
    told = answers(pairs, matches)
    extra = unused(own, matches.values())
    return Gap(job, coverage(pairs, matches), told, extra, own, len(pairs), is_whole)


def _matches(
    session: Session, semantic: Semantic, pairs: Sequence[tuple[int, Asked]], own: Sequence[Skill], aliases: Aliases
) -> tuple[dict[int, Match], bool]:
    """Return the job's tags that the skills answer: exactly, or by the closest of the other skills."""
    by_key = {one.key: one for one in own}
    keys = {tag: skill(one.name, aliases).key for tag, one in pairs}
    exact = {tag: Match(by_key[key], "exact", 1.0) for tag, key in keys.items() if key in by_key}
    spelled = {keys[tag]: one.name for tag, one in pairs}
    named = [(spelled.get(one.key, one.name), one) for one in own]
    left = [tag for tag, _ in pairs if tag not in exact]
    near, is_whole = close(session, semantic, named, left) if left and named else ({}, True)
    return near | exact, is_whole
