"""Comparisons side by side: one person against several jobs, or several people against one job; a row is a skill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import collection_state
from matching.documents import JobDocument
from matching.idf import idf_weights
from matching.jobs import RequiredSkill, required_skills, tags_in_order, tags_of_one_job
from matching.limits import MOST_SKILLS, check_column_count, check_limits
from matching.scores import Answer, answer, coverages, percent
from matching.skills import Skill, skill, skills
from matching.vocabulary import KnownSkills, skill_vocabulary
from search.semantic import Semantic

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A required skill and the person's skill that matches it; `answer` is None if it is missing."""

    required: str
    is_optional: bool
    answer: Answer | None = None

    @property
    def state(self) -> str:
        """Return `has`, `close` or `missing`; a skill below the required level is `close`."""
        if self.answer is None:
            return "missing"
        return "has" if self.answer.kind == "exact" and not self.answer.is_below else "close"


@dataclass(frozen=True, slots=True)
class MatrixColumn:
    """A job or a person's profile, and the share of the required skills that is covered."""

    document: JobDocument
    coverage: float
    extra: tuple[str, ...] = ()

    @property
    def match_percent(self) -> int:
        return percent(self.coverage)


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A skill and its cell in each column: None if that column's job does not require it."""

    skill: str
    cells: tuple[MatrixCell | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Skills as rows, jobs or people as columns; `rows_left_out` counts the rows beyond MOST_ROWS."""

    columns: tuple[MatrixColumn, ...]
    rows: tuple[MatrixRow, ...]
    rows_left_out: int = 0
    is_whole: bool = True


_Side = tuple[list[tuple[int, RequiredSkill]], KnownSkills]  # the required skills of a column, and the person's


def jobs_matrix(
    session: Session,
    semantic: Semantic,
    collection: str,
    jobs: Sequence[JobDocument],
    names: Sequence[str],
    aliases: Aliases,
) -> Matrix:
    """Compare one person with jobs, in the given order; raises TooMuch.

    The number of statements does not depend on the number of jobs.
    """
    check_column_count(len(jobs))
    check_limits(names)
    own = skills(names, aliases)
    state = collection_state(session, collection)
    tags = tags_in_order(session, [job.number for job in jobs])
    every = _distinct_tags(tags)
    known = skill_vocabulary(session, semantic, state, own, aliases, every.tolist()).known(own)
    weights = dict(zip(every.tolist(), idf_weights(session, state, every).tolist(), strict=True))
    sides = [(required_skills(tags.get(job.number, []), weights), known) for job in jobs]
    return _matrix([(job, own) for job in jobs], sides, aliases, known.is_whole)


def people_matrix(
    session: Session,
    semantic: Semantic,
    collection: str,
    job: JobDocument,
    people: Sequence[JobDocument],
    aliases: Aliases,
) -> Matrix:
    """Compare people with one job; a profile's tags are the person's skills. Raises TooMuch.

    The number of statements does not depend on the number of people. A person's first MOST_SKILLS skills count.
    """
    check_column_count(len(people))
    state = collection_state(session, collection)
    tags = tags_in_order(session, [job.number, *(person.number for person in people)])
    theirs = [_skills(tags.get(person.number, []), aliases) for person in people]
    asks = tags.get(job.number, [])
    every = np.array([tag for tag, _ in asks], np.int64)
    together = list({item.key: item for own in theirs for item in own}.values())
    vocabulary = skill_vocabulary(session, semantic, state, together, aliases, every.tolist())
    weights = dict(zip(every.tolist(), idf_weights(session, state, every).tolist(), strict=True))
    sides = [(required_skills(asks, weights), vocabulary.known(own)) for own in theirs]
    return _matrix(list(zip(people, theirs, strict=True)), sides, aliases, vocabulary.is_whole)


def _skills(tags: Sequence[tuple[int, str]], aliases: Aliases) -> tuple[Skill, ...]:
    return skills((name for _, name in tags), aliases)[:MOST_SKILLS]


def _distinct_tags(tags: Mapping[int, Sequence[tuple[int, str]]]) -> np.ndarray:
    return np.unique(np.array([tag for pairs in tags.values() for tag, _ in pairs], np.int64))


def _matrix(
    columns: Sequence[tuple[JobDocument, Sequence[Skill]]], sides: Sequence[_Side], aliases: Aliases, is_whole: bool
) -> Matrix:
    compared = [
        MatrixColumn(document, _coverage(document, *side), _extra(own, *side))
        for (document, own), side in zip(columns, sides, strict=True)
    ]  # fmt: skip
    rows = _matrix_rows(sides, aliases)
    return Matrix(tuple(compared), tuple(rows[:MOST_ROWS]), max(len(rows) - MOST_ROWS, 0), is_whole)


def _coverage(column: JobDocument, asks: Sequence[tuple[int, RequiredSkill]], known: KnownSkills) -> float:
    tags = np.array([tag for tag, _ in asks], np.int64)
    return float(coverages(tags_of_one_job(column.number, tags), np.array([each.weight for _, each in asks]), known)[0])


def _extra(own: Iterable[Skill], asks: Sequence[tuple[int, RequiredSkill]], known: KnownSkills) -> tuple[str, ...]:
    used = {known.matches[tag].skill.key for tag, _ in asks if tag in known.matches}
    return tuple(item.text for item in own if item.key not in used)


def _matrix_rows(sides: Sequence[_Side], aliases: Aliases) -> list[MatrixRow]:
    """Return the skills in the order in which the columns name them; spellings of one skill share a row."""
    names: dict[str, str] = {}
    cells: dict[str, list[MatrixCell | None]] = {}
    for place_, (asks, known) in enumerate(sides):
        for tag, item in asks:
            understood = skill(item.name, aliases)
            names.setdefault(understood.key, understood.name)
            row = cells.setdefault(understood.key, [None] * len(sides))
            if row[place_] is None:
                match = known.matches.get(tag)
                row[place_] = MatrixCell(item.name, item.is_optional, answer(item, match) if match else None)
    return [MatrixRow(names[key], tuple(row)) for key, row in cells.items()]
