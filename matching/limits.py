"""Limits on one matching request, and the error when one is exceeded."""

from __future__ import annotations

from collections.abc import Sequence

from utils.messages import Refusal

MOST_SKILLS, LONGEST_SKILL, MOST_TEXT, MOST_JOBS = 200, 200, 100_000, 100
MOST_COLUMNS = 10  # jobs or people compared side by side


class TooMuch(Refusal):
    """A limit is exceeded."""


def check_limits(names: Sequence[str], text: str = "") -> None:
    """Raise TooMuch if a request exceeds a limit."""
    if len(names) > MOST_SKILLS:
        raise TooMuch("too_much.skills", most=MOST_SKILLS)
    if any(len(name) > LONGEST_SKILL for name in names):
        raise TooMuch("too_much.skill", most=LONGEST_SKILL)
    if len(text) > MOST_TEXT:
        raise TooMuch("too_much.text", most=MOST_TEXT)


def check_column_count(count: int) -> None:
    """Raise TooMuch unless 1 to MOST_COLUMNS jobs or people are compared."""
    if not 1 <= count <= MOST_COLUMNS:
        raise TooMuch("too_much.columns", most=MOST_COLUMNS)


JOBS = "jobs"  # default collection to match skills with
PROFILES = "profiles"
