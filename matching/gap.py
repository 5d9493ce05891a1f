"""What of one job's skills a person has, what is close, what is missing, and what the person has besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import place
from matching.documents import Job
from matching.idf import weights
from matching.jobs import asked, one_job, tags_in_order
from matching.limits import check
from matching.scores import Answers, answers, coverages, percent, unused
from matching.skills import Skill, skills
from matching.vocabulary import vocabulary
from search.semantic import Semantic


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
