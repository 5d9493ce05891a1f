"""Compares people with jobs, skill by skill: the gap between one and one, and tables of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import collection_state
from matching.documents import JobDocument
from matching.jobs import RequiredSkill, required_skills, tags_in_order
from matching.limits import MOST_SKILLS, check_column_count, check_limits
from matching.matcher import Matcher, SkillMatch
from matching.scores import Answer, Answers, answer, answers, coverage, percent, unused
from matching.skills import Skill, skill, skills
from search.semantic import Semantic

MOST_ROWS = 500


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


@dataclass(frozen=True, slots=True)
class _Pair:
    """A person and a job: the document that names the column, both sides' skills, and the matches by tag."""

    document: JobDocument
    own: Sequence[Skill]
    required: Sequence[tuple[int, RequiredSkill]]
    matches: Mapping[int, SkillMatch]

    @property
    def coverage(self) -> float:
        return coverage(self.required, self.matches)

    @property
    def extra(self) -> tuple[str, ...]:
        return unused(self.own, (self.matches[tag] for tag, _ in self.required if tag in self.matches))


def gap(
    session: Session, semantic: Semantic, collection: str, job: JobDocument, names: Sequence[str], aliases: Aliases
) -> Gap:
    """Compare a person's skills with a job; raises TooMuch."""
    (pair,), is_whole = _with_jobs(session, semantic, collection, [job], names, aliases)
    job_answers = answers(pair.required, pair.matches)
    is_whole = is_whole or len(job_answers.matched) == len(pair.required)
    return Gap(job, pair.coverage, job_answers, pair.extra, tuple(pair.own), len(pair.required), is_whole)


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
    return _matrix(*_with_jobs(session, semantic, collection, jobs, names, aliases), aliases)


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
    people_skills = [
        skills((name for _, name in tags.get(person.number, ())), aliases)[:MOST_SKILLS] for person in people
    ]
    job_tags = tags.get(job.number, [])
    together = {item.key: item for own in people_skills for item in own}.values()
    matching = Matcher(session, semantic, state, aliases).matching_tags(together, [tag for tag, _ in job_tags])
    required = required_skills(session, state, {job.number: job_tags})[job.number]
    pairs = [
        _Pair(person, own, required, matching.matches(own)) for person, own in zip(people, people_skills, strict=True)
    ]
    return _matrix(pairs, matching.is_whole, aliases)


def _with_jobs(
    session: Session,
    semantic: Semantic,
    collection: str,
    jobs: Sequence[JobDocument],
    names: Sequence[str],
    aliases: Aliases,
) -> tuple[list[_Pair], bool]:
    """Return one person beside each job, and whether all skills could be compared."""
    check_limits(names)
    own = skills(names, aliases)
    state = collection_state(session, collection)
    required = required_skills(session, state, tags_in_order(session, [job.number for job in jobs]))
    tags = sorted({tag for pairs in required.values() for tag, _ in pairs})
    matching = Matcher(session, semantic, state, aliases).matching_tags(own, tags)
    matches = matching.matches(own)
    return [_Pair(job, own, required.get(job.number, []), matches) for job in jobs], matching.is_whole


def _matrix(pairs: Sequence[_Pair], is_whole: bool, aliases: Aliases) -> Matrix:
    columns = tuple(MatrixColumn(pair.document, pair.coverage, pair.extra) for pair in pairs)
    rows = _matrix_rows(pairs, aliases)
    return Matrix(columns, tuple(rows[:MOST_ROWS]), max(len(rows) - MOST_ROWS, 0), is_whole)


def _matrix_rows(columns: Sequence[_Pair], aliases: Aliases) -> list[MatrixRow]:
    """Return the skills in the order in which the columns name them; spellings of one skill share a row."""
    names: dict[str, str] = {}
    cells: dict[str, list[MatrixCell | None]] = {}
    for column, pair in enumerate(columns):
        for tag, item in pair.required:
            parsed = skill(item.name, aliases)
            names.setdefault(parsed.key, parsed.name)
            row = cells.setdefault(parsed.key, [None] * len(columns))
            if row[column] is None:
                match = pair.matches.get(tag)
                row[column] = MatrixCell(item.name, item.is_optional, answer(item, match) if match else None)
    return [MatrixRow(names[key], tuple(row)) for key, row in cells.items()]
