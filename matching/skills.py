"""A skill as people write it, taken apart: its name, level, years, and whether it must be there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from matching.aliases import Aliases
from models import tag_key

NICE_WEIGHT = 0.5  # of a skill that is nice to have, against 1 of one that is required
LONGEST_ABOUT = 100  # characters that say only how well and how long
_YEARS = re.compile(
    r"(?P<count>\d{1,2}(?:\.\d)?)\s*(?:\+|(?:-|–|to|עד)\s*\d{1,2})?\s*(?:years?|yrs?|שנים|שנות|שנה)(?!\w)\+?|(?P<two>שנתיים)",
    re.IGNORECASE,
)
_NICE = re.compile(
    r"\b(?:nice[ -]to[ -]have|an? advantage|advantage|an? plus|plus|optional|preferred|bonus"
    r"|desirable|יתרון|רצוי|רשות)\b",
    re.IGNORECASE,
)
_MUST = re.compile(
    r"\b(?:required|must[ -]have|a must|must|mandatory|essential|חובה|נדרש|נדרשת|הכרחי)\b", re.IGNORECASE
)
_LEVEL = re.compile(
    r"\b(?:junior|senior|expert|advanced|intermediate|beginner|basic|basics|proficient|fluent|native|primary|secondary|main"
    r"|strong|solid|professional|good|excellent|high|full|בכיר|בכירה|מומחה|מתקדם|מתקדמת|בסיסי|בסיסית|מתחיל|מתחילה|בינוני"
    r"|בינונית|גבוהה|מלאה|טובה|מצוינת|מצוין|שפת אם|עיקרי|עיקרית|ראשי|ראשית)\b",
    re.IGNORECASE,
)
# What may stand beside a level or years and says nothing by itself.
_FILLER = re.compile(
    r"\b(?:of|in|with|at least|minimum|min|over|level|experience|knowledge|command|big|and|the"
    r"|ניסיון|נסיון|של|לפחות|מעל|רמה|ברמה|שליטה"
    r"|ידע|גדול|משמעותי)\b|[\s,;:/+.\-–—]",
    re.IGNORECASE,
)
# Of two digits at most: the 3.11 of a language, and not the 9001 of a standard.
_VERSION = re.compile(r"(?<=\w)\s+v?\d{1,2}(?:\.(?:\d+|x))*\+?$", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*")
_TAIL = re.compile(r"(?:\s+[-–—]+\s*|\s*[,;:|]\s*)(?P<tail>[^,;:|]*?)$")
_EXPERIENCE = re.compile(r"^\s*(?:of\s+)?(?:experience\s+)?(?:of|in|with)\s+", re.IGNORECASE)
_HEBREW_EXPERIENCE = re.compile(r"^\s*(?:של\s+)?ני?סיון\s+(?:של\s+)?ב?")
_PARTS = re.compile(r"[\n\r]+|[,;،](?![^()\[\]\n]{0,200}[)\]])|^\s*[•*]\s*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill: `name` as written without its level, `key` under which all spellings meet; years 0 where none."""

    text: str
    name: str
    key: str
    level: str = ""
    years: float = 0.0
    required: bool = True


def skill(text: str, aliases: Aliases) -> Skill:
    """Return a skill taken apart; what is only a level or years keeps its words as its name."""
    one = parsed(text)
    key = aliases.key(one.key)
    return one if key == one.key else replace(one, key=key)


@lru_cache(maxsize=4_096)
def parsed(text: str) -> Skill:
    """Return a skill by its own key, which may be an alias; kept, for a collection's tags come again and again."""
    said: list[str] = []
    name = _without_years(_without_tails(_without_brackets(" ".join(text.split()), said), said), said)
    name = _VERSION.sub("", name.strip(" -–—,;:|•*")) or text.strip()
    about = " ; ".join(said)
    level = found.group(0).lower() if (found := _LEVEL.search(about)) else ""
    required = bool(_MUST.search(about)) or not _NICE.search(about)
    return Skill(text.strip(), name, tag_key(name), level, _years(about), required)


def skill_name(text: str) -> str:
    """Return the name of a skill without its level, years and version."""
    return parsed.__wrapped__(text).name


def is_optional(text: str) -> bool:
    """Tell whether a skill is nice to have only; most are told by a glance, ten times as fast."""
    return bool(_NICE.search(text)) and not parsed(text).required


def skills(texts: Iterable[str], aliases: Aliases) -> tuple[Skill, ...]:
    """Return the different skills named, in order; what has neither letter nor digit is no skill."""
    found: dict[str, Skill] = {}
    for text in texts:
        if any(character.isalnum() for character in text):
            one = skill(text, aliases)
            if one.key:
                found.setdefault(one.key, one)
    return tuple(found.values())


def typed(text: str) -> list[str]:
    """Return the skills of a typed list, one a line or with commas between; a bare level belongs to the one before."""
    found: list[str] = []
    for part in map(str.strip, _PARTS.split(text)):
        if found and len(part) <= LONGEST_ABOUT and _is_about(" ".join(part.split())):
            found[-1] = f"{found[-1]}, {part}"
        elif any(character.isalnum() for character in part):
            found.append(part)
    return found


def _is_about(text: str) -> bool:
    """Tell whether a text says only how well, how long or how needed a skill is."""
    rest = text
    for pattern in (_YEARS, _NICE, _MUST, _LEVEL, _FILLER):
        rest = pattern.sub(" ", rest)
    return not rest.strip() and bool(text.strip())


def _without_brackets(name: str, said: list[str]) -> str:
    def part(match: re.Match[str]) -> str:
        if _is_about(match.group(1)) or _is_version(match.group(1)):
            said.append(match.group(1))
            return " "
        return match.group(0)

    return _BRACKETS.sub(part, name).strip() or name


def _is_version(text: str) -> bool:
    return bool(re.fullmatch(r"\s*v?\d{1,2}(?:\.(?:\d+|x))*\+?\s*", text))


def _without_tails(name: str, said: list[str]) -> str:
    while (tail := _TAIL.search(name)) and tail.start() and _is_about(tail["tail"]):
        said.append(tail["tail"])
        name = name[: tail.start()]
    return name


def _without_years(name: str, said: list[str]) -> str:
    """Return the name without years at its beginning or end: `5 years of Python`, `Python 5+ years`."""
    years = _YEARS.search(name)
    if not years:
        return name
    before, after = name[: years.start()], name[years.end() :]
    if not before.strip() or _is_about(before):
        rest = _HEBREW_EXPERIENCE.sub("", _EXPERIENCE.sub("", after)).strip()
    else:
        rest = before.strip() if not after.strip() or _is_about(after) else ""
    if not rest:
        return name
    said.append(years.group(0))
    return rest


def _years(about: str) -> float:
    found = _YEARS.search(about)
    if not found:
        return 0.0
    return 2.0 if found["two"] else float(found["count"])


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
