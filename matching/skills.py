"""Parses a skill as people write it into name, level, years, and whether it is required."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from matching.aliases import Aliases
from models import tag_key
from utils.hebrew import is_hebrew

NICE_WEIGHT = 0.5  # weight of a skill that is nice to have; a required one has 1
LONGEST_ABOUT = 100  # characters of a remark on level or years
_YEARS = re.compile(
    r"(?P<count>\d{1,2}(?:\.\d)?|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|שלוש|ארבע|חמש|שש|שבע|שמונה|תשע|עשר))\s*(?:\+|(?:-|–|to|עד)\s*\d{1,2})?\s*(?:years?|yrs?|שנים|שנות|שנה)(?!\w)\+?|(?P<two>שנתיים)",
    re.IGNORECASE,
)
_NUMBERS = {
    word: number
    for words in ("one two three four five six seven eight nine ten", "_ _ שלוש ארבע חמש שש שבע שמונה תשע עשר")
    for number, word in enumerate(words.split(), 1)
}
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
# Words around a level or years that mean nothing by themselves.
_FILLER = re.compile(
    r"\b(?:of|in|with|for|using|at least|minimum|min|over|level|experience|knowledge|command|big|and|the"
    r"|ניסיון|נסיון|של|לפחות|מעל|רמה|ברמה|שליטה"
    r"|ידע|גדול|משמעותי)\b|[\s,;:/+.\-–—]",
    re.IGNORECASE,
)
# Two digits at most: the 3.11 of a language, not the 9001 of a standard.
_VERSION = re.compile(r"(?<=\w)\s+v?\d{1,2}(?:\.(?:\d+|x))*\+?$", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*")
_TAIL = re.compile(r"(?:\s+[-–—]+\s*|\s*[,;:|]\s*)(?P<tail>[^,;:|]*?)$")
_EXPERIENCE = re.compile(r"^\s*(?:of\s+)?(?:experience\s+)?(?:of|in|with)\s+", re.IGNORECASE)
_HEBREW_EXPERIENCE = re.compile(r"^\s*(?:של\s+)?ני?סיון\s+(?:של\s+)?ב?")
_PARTS = re.compile(r"[\n\r]+|[,;،](?![^()\[\]\n]{0,200}[)\]])|^\s*[•*]\s*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Skill:
    """A parsed skill: `name` without its level, `key` shared by all spellings; years is 0 if not stated."""

    text: str
    name: str
    key: str
    level: str = ""
    years: float = 0.0
    required: bool = True


def skill(text: str, aliases: Aliases) -> Skill:
    """Return a parsed skill under its main key; a bare level or number of years is its own name."""
    item = parsed_skill(text)
    key = aliases.key(item.key)
    return item if key == item.key else replace(item, key=key)


@lru_cache(maxsize=4_096)
def parsed_skill(text: str) -> Skill:
    """Return a skill under its own key, which may be an alias; cached, since the same tags recur."""
    remarks: list[str] = []
    name = _without_years(_without_tails(_without_brackets(" ".join(text.split()), remarks), remarks), remarks)
    name = _VERSION.sub("", name.strip(" -–—,;:|•*")) or text.strip()
    about = " ; ".join(remarks)
    level = match.group(0).lower() if (match := _LEVEL.search(about)) else ""
    required = bool(_MUST.search(about)) or not _NICE.search(about)
    return Skill(text.strip(), name, tag_key(name), level, _years(about), required)


def skill_name(text: str) -> str:
    """Return the name of a skill without level, years and version."""
    return parsed_skill.__wrapped__(text).name


def is_optional(text: str) -> bool:
    """Whether a skill is only nice to have; a quick search rules most out, ten times as fast as parsing."""
    return bool(_NICE.search(text)) and not parsed_skill(text).required


def skills(texts: Iterable[str], aliases: Aliases) -> tuple[Skill, ...]:
    """Return the distinct skills, in order; a text without letters or digits is skipped."""
    by_key: dict[str, Skill] = {}
    for text in texts:
        if any(character.isalnum() for character in text):
            item = skill(text, aliases)
            if item.key:
                by_key.setdefault(item.key, item)
    return tuple(by_key.values())


def split_skills(text: str) -> list[str]:
    """Split a typed list at line breaks and commas; a bare level belongs to the skill before it."""
    texts: list[str] = []
    for part in map(str.strip, _PARTS.split(text)):
        if texts and len(part) <= LONGEST_ABOUT and _is_about(" ".join(part.split())):
            texts[-1] = f"{texts[-1]}, {part}"
        elif any(character.isalnum() for character in part):
            texts.append(part)
    return texts


def _is_about(text: str) -> bool:
    """Whether a text is only a remark on level, years or need."""
    rest = text
    for pattern in (_YEARS, _NICE, _MUST, _LEVEL, _FILLER):
        rest = pattern.sub(" ", rest)
    return not rest.strip() and bool(text.strip())


def _without_brackets(name: str, remarks: list[str]) -> str:
    def part(match: re.Match[str]) -> str:
        if _is_about(match.group(1)) or _is_version(match.group(1)):
            remarks.append(match.group(1))
            return " "
        return match.group(0)

    return _BRACKETS.sub(part, name).strip() or name


def _is_version(text: str) -> bool:
    return bool(re.fullmatch(r"\s*v?\d{1,2}(?:\.(?:\d+|x))*\+?\s*", text))


def _without_tails(name: str, remarks: list[str]) -> str:
    while (tail := _TAIL.search(name)) and tail.start() and _is_about(tail["tail"]):
        remarks.append(tail["tail"])
        name = name[: tail.start()]
    return name


def _without_years(name: str, remarks: list[str]) -> str:
    """Return the name without years at its start or end: `5 years of Python`, `Python 5+ years`."""
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
    remarks.append(years.group(0))
    return rest


def _years(about: str) -> float:
    match = _YEARS.search(about)
    if not match:
        return 0.0
    if match["two"]:
        return 2.0
    count = match["count"].lower()
    return float(_NUMBERS.get(count, count))


# Worth of a skill below the level or years that the job requires.
BELOW_SHARE = 0.5
_RANKS = (
    "junior beginner basic basics בסיסי בסיסית מתחיל מתחילה",
    "intermediate good solid בינוני בינונית טובה",
    "senior advanced proficient professional strong high excellent fluent בכיר בכירה מתקדם מתקדמת גבוהה מצוינת מצוין",
    "expert native full מומחה מלאה",
)
RANKS = {level: rank for rank, levels in enumerate(_RANKS, 1) for level in levels.split()} | {"שפת אם": 4}
# To compare a level with years: under two years is a beginner, five or more is senior.
SOME_YEARS, MANY_YEARS = 2, 5


def rank(item: Skill) -> int:
    """Return 1 (beginner) to 4 (expert) by level, else by years; 0 if neither is stated."""
    if item.level in RANKS:
        return RANKS[item.level]
    return 0 if not item.years else 1 if item.years < SOME_YEARS else 2 if item.years < MANY_YEARS else 3


def has_level(item: Skill) -> bool:
    return bool(rank(item))


def is_below(required: Skill, had: Skill) -> bool:
    """Whether a person states less than a job requires; years are compared with years, levels with levels.

    If the person states nothing, it is False.
    """
    if required.years and had.years and had.years < required.years:
        return True
    if required.level in RANKS and had.level in RANKS:
        return RANKS[had.level] < RANKS[required.level]
    if required.years and had.years and not had.level:
        return False
    return 0 < rank(had) < rank(required)


_MOST_REMARK_WORDS = 8
_AFTER = re.compile(r"\s*[-–—,(]?\s*(.{1,40}?)(?=[,.;)\n]|$|\s(?:and|or)\s|\sו)")
_STATED_LEVELS = RANKS.keys() - {"full", "high", "מלאה", "גבוהה"}  # which are said of other things too


def qualifier(before: str, after: str) -> str:
    """Return the years and level that a text states directly before or after a skill, such as `5 years, senior`."""
    beside = re.split(r"[,;]", before)[-1].split()[-_MOST_REMARK_WORDS:]
    stated = [about for start in range(len(beside)) if _is_about(about := " ".join(beside[start:]))][:1]
    if (following := _AFTER.match(after)) and _is_about(following.group(1)):
        stated.append(following.group(1))
    about = " ; ".join(stated)
    years, level = _years(about), _LEVEL.search(about)
    unit = "שנים" if is_hebrew(about) else "years"
    parts = [f"{years:g} {unit}"] if years else []
    if level and level.group(0).lower() in _STATED_LEVELS:
        parts.append(level.group(0).lower())
    return ", ".join(parts)
