"""Names by the roots of their words: which of many are the same in other words, inflected, turned or mistyped."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np

from utils.hebrew import content_forms, forms, stem

MOST_WORDS = 20
LEAST_MISTYPED = 4  # letters of a root that may be a typo: a shorter one is too easily another word
LONG_ROOT = 9  # letters from which on two typos are one word still
MOST_TRIED = 12  # roots looked at letter by letter for one typo
_ENGLISH = re.compile(r"(?<=.{3})(?:ings?|ed|es|e|s)$")
_HEBREW = re.compile(r"(?<=.{3})(?:יות|ימ|ות|ה|ת|י)$")


@lru_cache(maxsize=8_192)
def root(form: str) -> str:
    """Return a folded word without its prefix letters and its ending: rougher than the stem that a search uses."""
    if "א" <= form[0] <= "ת":
        return _HEBREW.sub("", stem(form), count=1)
    bare = _ENGLISH.sub("", form, count=1)
    return bare[:-1] if len(bare) > 4 and bare != form and bare[-1] == bare[-2] and bare[-1] not in "sl" else bare


def roots(name: str) -> tuple[str, ...]:
    """Return the different roots of a name's first words, stop words left out where there are others."""
    return tuple(dict.fromkeys(root(form) for form in content_forms(forms(name))))[:MOST_WORDS]


class Wordings:
    """Names by their numbers, and for a name in other words those that share its words, with a likeness of 0 to 1.

    The likeness is the cosine of the words' weights; the rarer a word is among the names, the more it weighs. A word
    that no name has counts as the known word that it is a typo of.
    """

    def __init__(self, names: Iterable[tuple[int, str]]) -> None:
        pairs = [(number, roots(name)) for number, name in names]
        self.numbers = np.array([number for number, _ in pairs], np.int64)
        postings: dict[str, list[int]] = defaultdict(list)
        for place, (_, found) in enumerate(pairs):
            for one in found:
                postings[one].append(place)
        self._places = {one: np.array(places, np.int32) for one, places in postings.items()}
        self._weights = {one: math.log(1 + len(pairs) / len(places)) ** 2 for one, places in postings.items()}
        self._unknown = math.log(1 + len(pairs)) ** 2
        self._lengths = np.zeros(len(pairs), np.float32)
        for one, places in self._places.items():
            self._lengths[places] += self._weights[one]
        self._by_run = _by_run(postings)

    def alike(self, name: str, least: float) -> dict[int, float]:
        """Return {number: likeness} for the names that are at least so alike."""
        shares = np.zeros(len(self.numbers), np.float32)
        length = 0.0
        for one in dict.fromkeys(self._known(each) for each in roots(name)):
            weight = self._weights.get(one, self._unknown)
            length += weight
            if one in self._places:
                shares[self._places[one]] += weight
        found = np.flatnonzero(shares)
        likeness = shares[found] / np.sqrt(self._lengths[found] * max(length, 1e-9))
        kept = likeness >= least
        return dict(zip(self.numbers[found[kept]].tolist(), likeness[kept].tolist(), strict=True))

    def _known(self, one: str) -> str:
        """Return the root that is meant: itself, or the one that it is a typo of."""
        if one in self._places or len(one) < LEAST_MISTYPED:
            return one
        shared: dict[str, int] = defaultdict(int)
        for run in _runs(one):
            for other in self._by_run.get(run, ()):
                shared[other] += 1
        tried = sorted(shared, key=lambda other: (-shared[other], abs(len(other) - len(one)), other))[:MOST_TRIED]
        most = 2 if len(one) >= LONG_ROOT else 1
        near = [(typos(one, other, most), -len(self._places[other]), other) for other in tried]
        return min((each for each in near if each[0] <= most), default=(0, 0, one))[2]


def _runs(one: str) -> set[str]:
    padded = f"_{one}_"
    return {padded[place : place + 2] for place in range(len(padded) - 1)}


def _by_run(known: Mapping[str, object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in known:
        for run in _runs(one):
            found[run].append(one)
    return dict(found)


def typos(one: str, other: str, most: int) -> int:
    """Return how many letters were left out, added, exchanged or swapped (Damerau); most + 1 where more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        earlier, before, row = before, row, [place]
        for at, its in enumerate(other, 1):
            cost = min(before[at] + 1, row[at - 1] + 1, before[at - 1] + (letter != its))
            if place > 1 and at > 1 and letter == other[at - 2] and one[place - 2] == its:
                cost = min(cost, earlier[at - 2] + 1)
            row.append(cost)
    return min(row[-1], most + 1)
