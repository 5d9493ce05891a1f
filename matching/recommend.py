"""The jobs that fit a person best: by skills weighted by rarity, beside the meaning of a text, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from sqlalchemy import select
from sqlalchemy.orm import Session

from encoders.turns import EncoderAway
from matching.aliases import Aliases
from matching.bounds import MOST_SKILLS, check
from matching.jobs import asked_tags, candidates, tags_by_job
from matching.scores import Answers, Asked, answers, coverage, own_weights, percent, score, used
from matching.skills import Skill, skills
from matching.vocabulary import Known, known, named_skills, size
from models import Document
from search.filters import Filter
from search.query import Query
from search.semantic import Semantic
from utils.hebrew import is_hebrew
from utils.sql import among

COMPARED = 200  # jobs found by skills whose meaning is compared with the text's
TEXT_BEGINNING = 4_000  # characters of a text whose meaning is compared: more tokens than a model reads
SKILLS_SHARE = 0.75  # of the score where a text's meaning is known too


@dataclass(frozen=True, slots=True)
class Fit:
    """A job and how it fits: scores are 0 to 1, `coverage` the weighted share of what it asks that the person has."""

    id: str
    title: str
    score: float
    coverage: float
    semantic: float | None
    answers: Answers

    @property
    def match_percent(self) -> int:
        return percent(self.coverage)

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title) else "ltr"


@dataclass(frozen=True, slots=True)
class Recommendations:
    """The best jobs of a collection of so many; `found` are the skills that the text named, among all `skills`."""

    collection: str
    documents: int = 0
    skills: tuple[Skill, ...] = ()
    found: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()
    is_whole: bool = True  # False where some skills waited for the model, and only their exact matches count

    @property
    def is_empty(self) -> bool:
        """True where nothing was asked with, so that nothing can match."""
        return not self.skills and not self.fits


@dataclass(frozen=True, slots=True)
class _Scored:
    job: int
    score: float
    coverage: float
    semantic: float | None


def recommend(
    session: Session,
    semantic: Semantic,
    collection: str,
    names: Sequence[str],
    said: str,
    limit: int,
    aliases: Aliases,
) -> Recommendations:
    """Return the jobs that fit skills and a text best, best first; raises TooMuch.

    The statements are as many for a thousand jobs as for one.
    """
    check(names, said)
    documents = size(session, collection)
    found = named_skills(session, collection, said, MOST_SKILLS, aliases) if said.strip() else []
    own = skills([*names, *found], aliases)[:MOST_SKILLS]
    vocabulary = known(session, semantic, collection, own, aliases)
    jobs = candidates(session, vocabulary, collection)
    near = text_nearness(session, semantic, said, collection, jobs)
    everything = list(dict.fromkeys((*jobs, *(near or {}))))
    asked = asked_tags(session, everything, collection, documents, aliases)
    best = nsmallest(
        limit, _scored(session, everything, asked, vocabulary, near), key=lambda one: (-one.score, one.job)
    )
    fits = _fits(session, best, asked, vocabulary)
    return Recommendations(collection, documents, own, tuple(found), fits, vocabulary.is_whole)


def text_nearness(
    session: Session, semantic: Semantic, said: str, collection: str, jobs: Sequence[int]
) -> dict[int, float] | None:
    """Return how near in meaning to a text the nearest jobs and the given ones are; None without a text or a model."""
    beginning = said[:TEXT_BEGINNING]
    if not beginning.strip() or not semantic.ready(0):
        return None
    try:
        meaning = semantic.meaning(beginning)
    except EncoderAway as away:
        semantic.note(away)
        return None
    if meaning is None:
        return None
    near = semantic.nearest(session, meaning, Filter.of(Query(collection=collection)))
    near = near | semantic.nearness(session, meaning, [job for job in jobs[:COMPARED] if job not in near])
    return {job: meaning.score(one) for job, one in near.items() if meaning.is_relevant(one)}


def _scored(
    session: Session,
    jobs: Iterable[int],
    asked: Mapping[int, Asked],
    vocabulary: Known,
    near: Mapping[int, float] | None,
) -> Iterable[_Scored]:
    own = own_weights(vocabulary.matches, vocabulary.rarity)
    seen = set()
    for job, tags in tags_by_job(session, jobs):
        seen.add(job)
        covered = coverage(((tag, asked[tag]) for tag in tags), vocabulary.matches)
        by_skills = score(covered, used(tags, vocabulary.matches, own))
        yield _Scored(job, _joined(by_skills, near, job, own), covered, (near or {}).get(job))
    for job in (near or {}).keys() - seen:  # jobs without a tag
        yield _Scored(job, _joined(0.0, near, job, own), 0.0, (near or {}).get(job))


def _joined(by_skills: float, near: Mapping[int, float] | None, job: int, own: Mapping[str, float]) -> float:
    """Return the score of skills and meaning together; of the one that there is where there is one only."""
    if near is None:
        return by_skills
    share = SKILLS_SHARE if own else 0.0
    return share * by_skills + (1 - share) * near.get(job, 0.0)


def _fits(session: Session, best: Sequence[_Scored], asked: Mapping[int, Asked], vocabulary: Known) -> tuple[Fit, ...]:
    jobs = [one.job for one in best]
    rows = select(Document.id, Document.own_id, Document.title).where(among(Document.id, jobs))
    named = {job: (own_id, title) for job, own_id, title in session.execute(rows)}
    tags = dict(tags_by_job(session, jobs))
    return tuple(
        Fit(
            *named[one.job], one.score, one.coverage, one.semantic,
            answers([(tag, asked[tag]) for tag in tags.get(one.job, [])], vocabulary.matches),
        )
        for one in best
        if one.job in named
    )  # fmt: skip
