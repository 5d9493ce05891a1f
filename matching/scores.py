"""Scores of a person's skills against jobs: pure arithmetic, the same for many jobs and for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.jobs import JobTags, RequiredSkill
from matching.skills import Skill, parsed_skill
from matching.vocabulary import KnownSkills, SkillMatch

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


def coverages(jobs: JobTags, weights: Shares, known: KnownSkills) -> Shares:
    """Return each job's coverage, 0 to 1: the weighted share of its tags that match, by the worth of the matches.

    `weights` are the weights of `jobs.tags`.
    """
    worths = _of_tags(jobs.tags, {tag: match.worth for tag, match in known.matches.items()})
    totals = np.bincount(jobs.owners, weights, len(jobs.numbers))
    matched_weights = np.bincount(jobs.owners, weights * worths, len(jobs.numbers))
    return matched_weights / np.where(totals > 0, totals, 1.0)


def used_shares(jobs: JobTags, known: KnownSkills) -> Shares:
    """Return the share of a person's skills that each job requires, 0 to 1; the best match of a skill counts."""
    own = own_weights(known)
    places = {key: place for place, key in enumerate(own)}
    best = np.zeros((len(jobs.numbers), len(own)))
    worths = _of_tags(jobs.tags, {tag: match.worth for tag, match in known.matches.items()})
    owned = _of_tags(jobs.tags, {tag: places[match.skill.key] + 1 for tag, match in known.matches.items()})
    rows = np.flatnonzero(owned)
    np.maximum.at(best, (jobs.owners[rows], owned[rows].astype(np.int64) - 1), worths[rows])
    weights = np.array(list(own.values()))
    shares: Shares = best @ weights / (weights.sum() or 1.0)
    return shares


def _of_tags(tags: NDArray[np.int64], values: Mapping[int, float]) -> Shares:
    """Return the value of each tag, 0 if it has none."""
    if not values:
        return np.zeros(len(tags))
    order = np.array(sorted(values), np.int64)
    given = np.array([values[tag] for tag in order.tolist()], np.float64)
    places = np.minimum(np.searchsorted(order, tags), len(order) - 1)
    return np.where(order[places] == tags, given[places], 0.0)


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
