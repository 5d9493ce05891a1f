"""Limits on one matching request, and the error when one is exceeded."""

from __future__ import annotations

from collections.abc import Sequence

MOST_SKILLS, LONGEST_SKILL, MOST_TEXT, MOST_JOBS = 200, 200, 100_000, 100
MOST_COLUMNS = 10  # jobs or people compared side by side


class TooMuch(ValueError):
    """A limit is exceeded: `code` names it, and the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_limits(names: Sequence[str], text: str = "") -> None:
    """Raise TooMuch if a request exceeds a limit."""
    if len(names) > MOST_SKILLS:
        raise TooMuch("skills", f"{len(names)} skills: send at most {MOST_SKILLS}, the most telling ones")
    if any(len(name) > LONGEST_SKILL for name in names):
        raise TooMuch("skill", f"a skill is longer than {LONGEST_SKILL} characters: send a long text as text")
    if len(text) > MOST_TEXT:
        raise TooMuch("text", f"a text of {len(text)} characters: send at most {MOST_TEXT}")


def check_column_count(count: int) -> None:
    """Raise TooMuch unless 1 to MOST_COLUMNS jobs or people are compared."""
    if not 1 <= count <= MOST_COLUMNS:
        raise TooMuch("columns", f"{count} to compare: name 1 to {MOST_COLUMNS}")


JOBS = "jobs"  # default collection to match skills with
PROFILES = "profiles"
