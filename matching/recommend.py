"""Jobs that fit a person best, by IDF-weighted skills and similarity to a text, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import CollectionState, collection_state
from matching.free_text import TextSimilarity, combined_score, skills_weight, text_similarities
from matching.idf import idf_weights
from matching.jobs import candidates, document_tags, required_skills, tags_in_order
from matching.limits import MOST_SKILLS, check_limits
from matching.matcher import KnownSkills, Matcher, known_skills
from matching.mentions import mentions
from matching.scores import Answers, answers, job_coverages, percent, scores, used_shares
from matching.skills import Skill, skills
from models import Document
from search.semantic import Semantic
from utils.hebrew import is_hebrew
from utils.sql import among


@dataclass(frozen=True, slots=True)
class Fit:
    """A job and its scores, 0 to 1: `score` orders the jobs, and follows from `coverage`, `used` and the text.

    `coverage` is the weighted share of the required skills that the person has, `used` the share of the person's skills
    that the job requires.
    """

    id: str
    title: str
    score: float
    coverage: float
    used: float
    answers: Answers
    similarity: TextSimilarity | None = None

    @property
    def match_percent(self) -> int:
        return percent(self.coverage)

    @property
    def fit_percent(self) -> int:
        return percent(self.score)

    @property
    def used_percent(self) -> int:
        return percent(self.used)

    @property
    def semantic(self) -> float | None:
        return self.similarity.semantic if self.similarity else None

    @property
    def text(self) -> float | None:
        return self.similarity.text if self.similarity else None

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title) else "ltr"


@dataclass(frozen=True, slots=True)
class Recommendations:
    """The best jobs of a collection of `documents`; `found` are the skills named in the text, part of `skills`."""

    collection: str
    documents: int = 0
    skills: tuple[Skill, ...] = ()
    found: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()
    is_whole: bool = True  # False if some skills await the model and so count by exact matches only

    @property
    def is_empty(self) -> bool:
        """True if neither skills nor a text were given."""
        return not self.skills and not self.fits


@dataclass(frozen=True, slots=True)
class _Scored:
    job: int
    score: float
    coverage: float
    used: float
    similarity: TextSimilarity | None


def recommend(
    session: Session,
    semantic: Semantic,
    collection: str,
    names: Sequence[str],
    text: str,
    limit: int,
    aliases: Aliases,
) -> Recommendations:
    """Return the jobs that best fit skills and a text, best first; raises TooMuch.

    The number of statements does not depend on the number of jobs.
    """
    check_limits(names, text)
    state = collection_state(session, collection)
    mentioned = [mention.skill for mention in mentions(session, collection, text, MOST_SKILLS, aliases)]
    own = skills([*names, *mentioned], aliases)[:MOST_SKILLS]
    matching = Matcher(session, semantic, state, aliases).matching_tags(own)
    known = known_skills(session, state, matching, own)
    jobs = candidates(session, known, state)
    texts = text_similarities(session, semantic, text, state, jobs)
    share = 1.0 if texts is None else skills_weight(bool(known.matches and names), bool(known.matches))
    best = _best(session, state, list(dict.fromkeys((*jobs, *(texts or {})))), known, texts or {}, share)[:limit]
    fits = _fits(session, state, best, known)
    return Recommendations(collection, state.documents, own, tuple(mentioned), fits, matching.is_whole)


def _best(
    session: Session,
    state: CollectionState,
    numbers: Sequence[int],
    known: KnownSkills,
    texts: Mapping[int, TextSimilarity],
    share: float,
) -> list[_Scored]:
    """Return jobs with their scores, best first; `share` is the weight of the skills beside a text."""
    jobs = document_tags(session, numbers)
    covered = job_coverages(jobs, idf_weights(session, state, jobs.tags), known)
    used = used_shares(jobs, known)
    by_skills = scores(covered, used)
    rows = zip(by_skills.tolist(), covered.tolist(), used.tolist(), strict=True)
    by_job = dict(zip(jobs.numbers.tolist(), rows, strict=True))
    scored = [
        _Scored(job, combined_score(skill_score, texts.get(job), share), coverage, job_used, texts.get(job))
        for job, (skill_score, coverage, job_used) in ((job, by_job.get(job, (0.0, 0.0, 0.0))) for job in numbers)
    ]
    return sorted(scored, key=lambda item: (-item.score, item.job))


def _fits(session: Session, state: CollectionState, best: Sequence[_Scored], known: KnownSkills) -> tuple[Fit, ...]:
    jobs = [item.job for item in best]
    rows = select(Document.id, Document.own_id, Document.title).where(among(Document.id, jobs))
    titles = {job: (own_id, title) for job, own_id, title in session.execute(rows)}
    required = required_skills(session, state, tags_in_order(session, jobs))
    return tuple(
        Fit(
            *titles[item.job], item.score, item.coverage, item.used,
            answers(required.get(item.job, []), known.matches), item.similarity,
        )
        for item in best
        if item.job in titles
    )  # fmt: skip
