"""Several side by side: one person against some jobs, or some people against one job; a row is a skill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import place
from matching.documents import Job
from matching.idf import weights
from matching.jobs import Asked, asked, one_job, tags_in_order
from matching.limits import MOST_SKILLS, check, check_columns
from matching.scores import Answer, answer, coverages, percent
from matching.skills import Skill, skill, skills
from matching.vocabulary import Known, vocabulary
from search.semantic import Semantic

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Cell:
    """What a job asks, and the skill that answers it: `answer` is None where it is missing."""

    required: str
    is_optional: bool
    answer: Answer | None = None

    @property
    def state(self) -> str:
        """Return `has`, `close` or `missing`; a skill below the level asked is close to it."""
        if self.answer is None:
            return "missing"
        return "has" if self.answer.kind == "exact" and not self.answer.is_below else "close"


@dataclass(frozen=True, slots=True)
class Column:
    """A job, or a person (by the document of the profile), and the share of what is asked that is there."""

    document: Job
    coverage: float
    extra: tuple[str, ...] = ()

    @property
    def match_percent(self) -> int:
        return percent(self.coverage)


@dataclass(frozen=True, slots=True)
class Row:
    """A skill, and its cell in each column: None where the job of the column does not ask for it."""

    skill: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of skills under columns of jobs or people; `rows_left_out` are those over MOST_ROWS."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    rows_left_out: int = 0
    is_whole: bool = True


_Side = tuple[list[tuple[int, Asked]], Known]  # what a column asks, and what answers it


def jobs_matrix(
    session: Session, semantic: Semantic, collection: str, jobs: Sequence[Job], names: Sequence[str], aliases: Aliases
) -> Matrix:
    """Return one person against jobs, in their order; raises TooMuch. The statements do not grow with the jobs."""
    check_columns(len(jobs))
    check(names)
    own = skills(names, aliases)
    here = place(session, collection)
    tags = tags_in_order(session, [one.number for one in jobs])
    every = _every(tags)
    held = vocabulary(session, semantic, here, own, aliases, every.tolist()).known(own)
    weighed = dict(zip(every.tolist(), weights(session, here, every).tolist(), strict=True))
    sides = [(asked(tags.get(one.number, []), weighed), held) for one in jobs]
    return _matrix([(one, own) for one in jobs], sides, aliases, held.is_whole)


def people_matrix(
    session: Session, semantic: Semantic, collection: str, job: Job, people: Sequence[Job], aliases: Aliases
) -> Matrix:
    """Return people, whose profiles are documents and their tags the skills, against one job; raises TooMuch.

    The statements do not grow with the people. Of a person the first MOST_SKILLS skills count.
    """
    check_columns(len(people))
    here = place(session, collection)
    tags = tags_in_order(session, [job.number, *(one.number for one in people)])
    theirs = [_skills(tags.get(one.number, []), aliases) for one in people]
    asks = tags.get(job.number, [])
    every = np.array([tag for tag, _ in asks], np.int64)
    together = list({one.key: one for own in theirs for one in own}.values())
    found = vocabulary(session, semantic, here, together, aliases, every.tolist())
    weighed = dict(zip(every.tolist(), weights(session, here, every).tolist(), strict=True))
    sides = [(asked(asks, weighed), found.known(own)) for own in theirs]
    return _matrix(list(zip(people, theirs, strict=True)), sides, aliases, found.is_whole)


def _skills(tags: Sequence[tuple[int, str]], aliases: Aliases) -> tuple[Skill, ...]:
    return skills((name for _, name in tags), aliases)[:MOST_SKILLS]


def _every(tags: Mapping[int, Sequence[tuple[int, str]]]) -> np.ndarray:
    return np.unique(np.array([tag for pairs in tags.values() for tag, _ in pairs], np.int64))


def _matrix(
    columns: Sequence[tuple[Job, Sequence[Skill]]], sides: Sequence[_Side], aliases: Aliases, is_whole: bool
) -> Matrix:
    told = [
        Column(one, _coverage(one, *side), _extra(own, *side))
        for (one, own), side in zip(columns, sides, strict=True)
    ]  # fmt: skip
    rows = _rows(sides, aliases)
    return Matrix(tuple(told), tuple(rows[:MOST_ROWS]), max(len(rows) - MOST_ROWS, 0), is_whole)


def _coverage(one: Job, asks: Sequence[tuple[int, Asked]], held: Known) -> float:
    tags = np.array([tag for tag, _ in asks], np.int64)
    return float(coverages(one_job(one.number, tags), np.array([each.weight for _, each in asks]), held)[0])


def _extra(own: Iterable[Skill], asks: Sequence[tuple[int, Asked]], held: Known) -> tuple[str, ...]:
    used = {held.matches[tag].skill.key for tag, _ in asks if tag in held.matches}
    return tuple(one.text for one in own if one.key not in used)


def _rows(sides: Sequence[_Side], aliases: Aliases) -> list[Row]:
    """Return the skills in the order in which the columns name them; spellings of one skill share a row."""
    names: dict[str, str] = {}
    cells: dict[str, list[Cell | None]] = {}
    for place_, (asks, held) in enumerate(sides):
        for tag, one in asks:
            understood = skill(one.name, aliases)
            names.setdefault(understood.key, understood.name)
            row = cells.setdefault(understood.key, [None] * len(sides))
            if row[place_] is None:
                match = held.matches.get(tag)
                row[place_] = Cell(one.name, one.is_optional, answer(one, match) if match else None)
    return [Row(names[key], tuple(row)) for key, row in cells.items()]
