"""The jobs that fit a person best: by skills weighted by rarity, beside what a text says and means, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import Place, place
from matching.free_text import Said, joined, skills_share, text_nearness
from matching.idf import weights
from matching.jobs import asked, candidates, jobs_with_tags, tags_in_order
from matching.limits import MOST_SKILLS, check
from matching.mentions import named_skills
from matching.scores import Answers, answers, coverages, percent, scores, used
from matching.skills import Skill, skills
from matching.vocabulary import Known, vocabulary
from models import Document
from search.semantic import Semantic
from utils.hebrew import is_hebrew
from utils.sql import among


@dataclass(frozen=True, slots=True)
class Fit:
    """A job and how it fits: scores are 0 to 1, `coverage` the weighted share of what it asks that the person has."""

    id: str
    title: str
    score: float
    coverage: float
    semantic: float | None
    answers: Answers
    text: float | None = None

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
    said: Said | None


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
    here = place(session, collection)
    found = named_skills(session, collection, said, MOST_SKILLS, aliases) if said.strip() else []
    own = skills([*names, *found], aliases)[:MOST_SKILLS]
    held = vocabulary(session, semantic, here, own, aliases).known(own)
    jobs = candidates(session, held, here)
    near = text_nearness(session, semantic, said, here, jobs)
    share = 1.0 if near is None else skills_share(bool(held.matches and names), bool(held.matches))
    best = _best(session, here, list(dict.fromkeys((*jobs, *(near or {})))), held, near or {}, share)[:limit]
    fits = _fits(session, here, best, held)
    return Recommendations(collection, here.documents, own, tuple(found), fits, held.is_whole)


def _best(
    session: Session, here: Place, numbers: Sequence[int], held: Known, near: Mapping[int, Said], share: float
) -> list[_Scored]:
    """Return jobs with their scores, best first; `share` is that of skills where a text was given."""
    jobs = jobs_with_tags(session, numbers)
    covered = coverages(jobs, weights(session, here, jobs.tags), held)
    by_skills = scores(covered, used(jobs, held))
    found = dict(zip(jobs.numbers.tolist(), zip(by_skills.tolist(), covered.tolist(), strict=True), strict=True))
    scored = [
        _Scored(job, joined(skill_score, near.get(job), share), coverage, near.get(job))
        for job, (skill_score, coverage) in ((job, found.get(job, (0.0, 0.0))) for job in numbers)
    ]
    return sorted(scored, key=lambda one: (-one.score, one.job))


def _fits(session: Session, here: Place, best: Sequence[_Scored], held: Known) -> tuple[Fit, ...]:
    jobs = [one.job for one in best]
    rows = select(Document.id, Document.own_id, Document.title).where(among(Document.id, jobs))
    named = {job: (own_id, title) for job, own_id, title in session.execute(rows)}
    tags = tags_in_order(session, jobs)
    every = np.unique(np.array([tag for pairs in tags.values() for tag, _ in pairs], np.int64))
    weighed = dict(zip(every.tolist(), weights(session, here, every).tolist(), strict=True))
    return tuple(
        Fit(
            *named[one.job], one.score, one.coverage, one.said.semantic if one.said else None,
            answers(asked(tags.get(one.job, []), weighed), held.matches), one.said.text if one.said else None,
        )
        for one in best
        if one.job in named
    )  # fmt: skip
