"""JSON from outside: parsed only if it is not nested too deep, has not too many values, and its numbers are usable."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MOST_DEPTH = 32
MOST_VALUES = 20_000
MOST_DIGITS = 100  # of a whole number
# A string, which may be cut off at the end: every character is then looked at once.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKET = re.compile(r"[^][{}]+")


class TooComplex(ValueError):
    """JSON that is nested too deep or has too many values."""

    def __init__(self, key: str, most: int) -> None:
        super().__init__(f"nested deeper than {most} levels" if key == "nested" else f"more than {most:,} values")
        self.key, self.most = key, most


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; raises TooComplex, and ValueError for what is no JSON."""
    check_complexity(text)
    return _DECODER.decode(text)


def check_complexity(text: str) -> None:
    """Raise TooComplex before anything is built; most texts are decided by counting characters."""
    opened = text.count("[") + text.count("{")
    if opened <= MOST_DEPTH and opened + text.count(",") < MOST_VALUES:
        return
    outside = _STRING.sub("", text)
    if outside.count("[") + outside.count("{") + outside.count(",") >= MOST_VALUES:
        raise TooComplex("values", MOST_VALUES)
    depth = 0
    for bracket in _NO_BRACKET.sub("", outside):
        depth += 1 if bracket in "[{" else -1
        if depth > MOST_DEPTH:
            raise TooComplex("nested", MOST_DEPTH)


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_float=_float, parse_int=_integer)
