"""What a query marks in a text, without a collection whose words could tell more."""

from __future__ import annotations

from search.interpretation import possible_forms
from search.matcher import QueryMatcher
from search.query import QueryParts
from utils.word_readings import Readings

READINGS = Readings(None)


def matcher_of(parts: QueryParts) -> QueryMatcher:
    typed = parts.forms()
    weights: dict[str, float] = {}
    word_of: dict[str, str] = {}
    for word in typed:
        for form, weight in {
            **(READINGS.inflections(word) if word.isascii() else {}),
            **possible_forms(word, READINGS),
        }.items():
            weights.setdefault(form, weight)
            word_of.setdefault(form, word)
    return QueryMatcher(weights | dict.fromkeys(typed, 1.0), tuple(map(tuple, parts.exact())), word_of)
