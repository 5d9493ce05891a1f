"""Scores of a person's skills against jobs: pure arithmetic, the same for many jobs and for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.jobs import DocumentTags, Numbers, RequiredSkill
from matching.matcher import KnownSkills, SkillMatch
from matching.skills import Skill, parsed_skill

Shares = NDArray[np.float64]

# Weights in the score: the share of the job's skills that the person has, and of the person's that the job requires.
# With the first alone (MRR .974, .959) a job with two skills outranks the right one with twenty; 80/20: .971, .963.
COVERED, USED = 0.8, 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """A tag that a job requires and the person's skill that matches it; `score` is 1 for an exact match.

    Levels and years are empty and 0 if not stated; `is_below` if the person has less than the job requires.
    """

    required: str
    skill: str
    score: float
    kind: str
    is_optional: bool = False
    is_below: bool = False
    level_asked: str = ""
    level_had: str = ""
    years_asked: float = 0.0
    years_had: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "skill": self.skill,
            "required": self.required,
            "score": round(self.score, 4),
            "kind": self.kind,
            "optional": self.is_optional,
            "below": self.is_below,
            "level_asked": self.level_asked or None,
            "level_had": self.level_had or None,
            "years_asked": self.years_asked or None,
            "years_had": self.years_had or None,
        }


@dataclass(frozen=True, slots=True)
class Answers:
    """A job's skills: those a person has, and those missing."""

    matched: tuple[Answer, ...]
    missing: tuple[str, ...]
    missing_optional: tuple[str, ...]

    def as_json(self) -> dict[str, list[Any]]:
        return {
            "matched": [answer.as_json() for answer in self.matched],
            "missing": list(self.missing),
            "missing_optional": list(self.missing_optional),
        }


def coverages(owners: Numbers, weights: Shares, worths: Shares, count: int) -> Shares:
    """Return each job's coverage, 0 to 1: the weighted share of its required skills that is matched.

    `owners` are the indexes of the jobs that require the skills, `worths` those of the matches, 0 for a missing skill.
    """
    totals = np.bincount(owners, weights, count)
    matched = np.bincount(owners, weights * worths, count)
    return matched / np.where(totals > 0, totals, 1.0)


def coverage(required: Sequence[tuple[int, RequiredSkill]], matches: Mapping[int, SkillMatch]) -> float:
    """Return the coverage of one job; `matches` are by the keys of the required skills."""
    weights = np.array([item.weight for _, item in required])
    worths = np.array([matches[key].worth if key in matches else 0.0 for key, _ in required])
    return float(coverages(np.zeros(len(required), np.int64), weights, worths, 1)[0])


def best_worths(documents: DocumentTags, worths: Mapping[int, Sequence[tuple[int, float]]], columns: int) -> Shares:
    """Return, for each document and column, the greatest worth among its tags; `worths` are {tag: (column, worth)}."""
    rows = sorted((tag, column, worth) for tag, pairs in worths.items() for column, worth in pairs)
    best = np.zeros((len(documents.numbers), columns))
    tags = np.array([tag for tag, _, _ in rows], np.int64)
    first, end = (np.searchsorted(tags, documents.tags, side) for side in ("left", "right"))
    counts = end - first
    # The rows of each tag of each document, one after another.
    chosen = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    targets = np.repeat(documents.owners, counts), np.array([column for _, column, _ in rows], np.int64)[chosen]
    np.maximum.at(best, targets, np.array([worth for _, _, worth in rows])[chosen])
    return best


def shares_matched(best: Shares, weights: Shares) -> Shares:
    """Return the weighted share of the columns that is matched, of each row of `best_worths`."""
    count, columns = best.shape
    return coverages(np.repeat(np.arange(count), columns), np.tile(weights, count), best.ravel(), count)


def job_coverages(jobs: DocumentTags, weights: Shares, known: KnownSkills) -> Shares:
    """Return the coverage of jobs by a person; `weights` are those of `jobs.tags`."""
    known_tags = np.array(sorted(known.matches), np.int64)
    known_worths = np.array([known.matches[tag].worth for tag in known_tags.tolist()])
    worths = np.zeros(len(jobs.tags))
    is_known = np.isin(jobs.tags, known_tags)
    worths[is_known] = known_worths[np.searchsorted(known_tags, jobs.tags[is_known])]
    return coverages(jobs.owners, weights, worths, len(jobs.numbers))


def used_shares(jobs: DocumentTags, known: KnownSkills) -> Shares:
    """Return the share of a person's skills that each job requires, 0 to 1; the best match of a skill counts."""
    own = own_weights(known)
    columns = {key: column for column, key in enumerate(own)}
    worths = {tag: ((columns[match.skill.key], match.worth),) for tag, match in known.matches.items()}
    return shares_matched(best_worths(jobs, worths, len(own)), np.array(list(own.values())))


def scores(coverage: Shares, shares_used: Shares) -> Shares:
    return COVERED * coverage + USED * shares_used


def percent(share: float) -> int:
    """Return a rounded-down percentage: 100 only for a full, exact match."""
    return int(100 * share + 1e-9)


def answers(required: Iterable[tuple[int, RequiredSkill]], matches: Mapping[int, SkillMatch]) -> Answers:
    """Return the matched skills, best first, and the missing ones in the job's order."""
    matched: list[Answer] = []
    missing: list[str] = []
    optional: list[str] = []
    for tag, item in required:
        if match := matches.get(tag):
            matched.append(answer(item, match))
        else:
            (optional if item.is_optional else missing).append(item.name)
    matched.sort(key=lambda item: (item.is_below, -item.score))
    return Answers(tuple(matched), tuple(missing), tuple(optional))


def answer(item: RequiredSkill, match: SkillMatch) -> Answer:
    required, had = parsed_skill(item.name), match.skill
    return Answer(
        item.name, had.text, match.strength, match.kind, item.is_optional, match.is_below,
        required.level, had.level, required.years, had.years,
    )  # fmt: skip


def own_weights(known: KnownSkills) -> dict[str, float]:
    """Return the weight of each known skill: that of its rarest exact tag, else of its rarest close one."""
    rarest: dict[tuple[str, str], float] = {}
    for tag, match in known.matches.items():
        key = match.skill.key, match.kind
        rarest[key] = max(rarest.get(key, 0.0), known.weights[tag])
    return {key: rarest.get((key, "exact"), rarest.get((key, "close"), 0.0)) for key, _ in rarest}


def unused(skills: Sequence[Skill], matched: Iterable[SkillMatch]) -> tuple[str, ...]:
    """Return the skills that match nothing, as written."""
    keys = {match.skill.key for match in matched}
    return tuple(item.text for item in skills if item.key not in keys)
