"""Levels and years: what a job asks of a skill, what a person says of it, and whether that is below."""

from __future__ import annotations

from matching.skills import Skill

# What a skill counts that the person has below the level, or with fewer years than, the job asks: half.
BELOW_SHARE = 0.5
_RANKS = (
    "junior beginner basic basics בסיסי בסיסית מתחיל מתחילה",
    "intermediate good solid בינוני בינונית טובה",
    "senior advanced proficient professional strong high excellent fluent בכיר בכירה מתקדם מתקדמת גבוהה מצוינת מצוין",
    "expert native full מומחה מלאה",
)
RANKS = {level: rank for rank, levels in enumerate(_RANKS, 1) for level in levels.split()} | {"שפת אם": 4}
# Years where one side says a level and the other years: under two is a beginner, from five on a senior.
SOME_YEARS, MANY_YEARS = 2, 5


def rank(one: Skill) -> int:
    """Return 1 (beginner) to 4 (expert) by a skill's level, else by its years; 0 where neither says anything."""
    if one.level in RANKS:
        return RANKS[one.level]
    return 0 if not one.years else 1 if one.years < SOME_YEARS else 2 if one.years < MANY_YEARS else 3


def says_how_well(one: Skill) -> bool:
    return bool(rank(one))


def is_below(asked: Skill, had: Skill) -> bool:
    """Tell whether a person says less than a job asks; years are compared with years, levels with levels.

    A person who says nothing is not below: nothing is known.
    """
    if asked.years and had.years and had.years < asked.years:
        return True
    if asked.level in RANKS and had.level in RANKS:
        return RANKS[had.level] < RANKS[asked.level]
    if asked.years and had.years and not had.level:
        return False
    return 0 < rank(had) < rank(asked)
