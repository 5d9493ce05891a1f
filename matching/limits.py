"""How much one request may hold, and what is said of more."""

from __future__ import annotations

from collections.abc import Sequence

MOST_SKILLS, LONGEST_SKILL, MOST_TEXT, MOST_JOBS = 200, 200, 100_000, 100
MOST_COLUMNS = 10  # jobs, or people, beside one another


class TooMuch(ValueError):
    """More than is taken: `code` names the bound, and the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(names: Sequence[str], said: str = "") -> None:
    """Raise TooMuch for more than a request may hold."""
    if len(names) > MOST_SKILLS:
        raise TooMuch("skills", f"{len(names)} skills: send at most {MOST_SKILLS}, the most telling ones")
    if any(len(name) > LONGEST_SKILL for name in names):
        raise TooMuch("skill", f"a skill is longer than {LONGEST_SKILL} characters: send a long text as text")
    if len(said) > MOST_TEXT:
        raise TooMuch("text", f"a text of {len(said)} characters: send at most {MOST_TEXT}")


def check_columns(count: int) -> None:
    """Raise TooMuch for more jobs or people than stand beside one another, or for none."""
    if not 1 <= count <= MOST_COLUMNS:
        raise TooMuch("columns", f"{count} to compare: name 1 to {MOST_COLUMNS}")


JOBS = "jobs"  # the collection that skills are matched with where none is chosen
PROFILES = "profiles"
