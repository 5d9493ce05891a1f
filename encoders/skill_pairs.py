"""Human-judged pairs of skills, by which similarity thresholds are measured."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.hebrew import is_hebrew, normalise

OWN = Path(__file__).resolve().parents[1] / "data" / "skill-pairs.csv"
HEADER = ["one", "other", "close"]
VERDICTS = {"yes": True, "no": False}


class BadPairs(ValueError):
    """An unreadable file of pairs; the message names the line."""


@dataclass(frozen=True, slots=True)
class SkillPair:
    """Two skills, and whether having one means having the other for nearly all purposes."""

    one: str
    other: str
    is_close: bool

    @property
    def languages(self) -> str:
        return " and ".join(sorted({"Hebrew" if is_hebrew(name) else "English" for name in (self.one, self.other)}))


def read_pairs(path: Path) -> list[SkillPair]:
    """Return the rows `one,other,close` of a file, where close is yes or no. Raises BadPairs."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadPairs(f"{path.name} cannot be read: {error}") from None
    if not rows or rows[0] != HEADER:
        raise BadPairs(f"{path.name}, line 1: a file of pairs begins with {','.join(HEADER)}")
    pairs = [_parse_pair(path, number, row) for number, row in enumerate(rows[1:], 2) if row]
    if len({pair.is_close for pair in pairs}) < 2:
        raise BadPairs(f"{path.name}: there must be pairs that are close and pairs that are not")
    return pairs


def _parse_pair(path: Path, number: int, row: Sequence[str]) -> SkillPair:
    if len(row) != len(HEADER) or row[2] not in VERDICTS or not all(normalise(name).strip() for name in row[:2]):
        raise BadPairs(f"{path.name}, line {number}: a pair is two skills and yes or no")
    return SkillPair(row[0], row[1], VERDICTS[row[2]])
