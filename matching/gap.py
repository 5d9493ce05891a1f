"""Skill gap: which of a job's skills a person has, exactly or nearly, which are missing, and which are extra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import collection_state
from matching.documents import JobDocument
from matching.idf import idf_weights
from matching.jobs import required_skills, tags_in_order, tags_of_one_job
from matching.limits import check_limits
from matching.scores import Answers, answers, coverages, percent, unused
from matching.skills import Skill, skills
from matching.vocabulary import skill_vocabulary
from search.semantic import Semantic


@dataclass(frozen=True, slots=True)
class Gap:
    """A person compared with one job; `coverage` is 0 to 1, and 0 if either has no skills."""

    job: JobDocument
    coverage: float
    answers: Answers
    extra: tuple[str, ...]
    skills: tuple[Skill, ...]
    asks: int  # number of skills that the job names
    is_whole: bool = True

    @property
    def match_percent(self) -> int:
        return percent(self.coverage)


def gap(
    session: Session, semantic: Semantic, collection: str, job: JobDocument, names: Sequence[str], aliases: Aliases
) -> Gap:
    """Compare a person's skills with a job; raises TooMuch."""
    check_limits(names)
    own = skills(names, aliases)
    state = collection_state(session, collection)
    tags = tags_in_order(session, [job.number]).get(job.number, [])
    numbers = np.array([tag for tag, _ in tags], np.int64)
    known = skill_vocabulary(session, semantic, state, own, aliases, numbers.tolist()).known(own)
    weights = idf_weights(session, state, numbers)
    job_answers = answers(
        required_skills(tags, dict(zip(numbers.tolist(), weights.tolist(), strict=True))), known.matches
    )
    coverage = coverages(tags_of_one_job(job.number, numbers), weights, known)
    extra = unused(own, known.matches.values())
    is_whole = known.is_whole or len(job_answers.matched) == len(tags)
    return Gap(job, float(coverage[0]), job_answers, extra, own, len(tags), is_whole)
