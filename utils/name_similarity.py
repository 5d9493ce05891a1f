"""Similarity of names by the roots of their words: finds names reworded, inflected, reordered or misspelt."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np

from utils.hebrew import content_forms, forms, stem

MOST_WORDS = 20
LEAST_MISTYPED = 4  # letters of a root that may contain a typo; shorter ones are too easily another word
LONG_ROOT = 9  # letters from which two typos are allowed
MOST_TRIED = 12  # roots compared letter by letter
_ENGLISH = re.compile(r"(?<=.{3})(?:ings?|ed|es|e|s)$")
_HEBREW = re.compile(r"(?<=.{3})(?:יות|ימ|ות|ה|ת|י)$")


@lru_cache(maxsize=8_192)
def root(form: str) -> str:
    """Return a folded word without prefix letters and ending: coarser than the stem that search uses."""
    if "א" <= form[0] <= "ת":
        return _HEBREW.sub("", stem(form), count=1)
    bare = _ENGLISH.sub("", form, count=1)
    return bare[:-1] if len(bare) > 4 and bare != form and bare[-1] == bare[-2] and bare[-1] not in "sl" else bare


def roots(name: str) -> tuple[str, ...]:
    """Return the distinct roots of a name's first words, without stop words if there are others."""
    return tuple(dict.fromkeys(root(form) for form in content_forms(forms(name))))[:MOST_WORDS]


class NameIndex:
    """An index of names by number, to find those similar to a given name, with a similarity from 0 to 1.

    The similarity is the cosine of the words' IDF weights. A word that no name has counts as the indexed word that it
    is a typo of.
    """

    def __init__(self, names: Iterable[tuple[int, str]]) -> None:
        pairs = [(number, roots(name)) for number, name in names]
        self.numbers = np.array([number for number, _ in pairs], np.int64)
        postings: dict[str, list[int]] = defaultdict(list)
        for place, (_, name_roots) in enumerate(pairs):
            for each in name_roots:
                postings[each].append(place)
        self._places = {each: np.array(places, np.int32) for each, places in postings.items()}
        self._weights = {each: math.log(1 + len(pairs) / len(places)) ** 2 for each, places in postings.items()}
        self._unknown = math.log(1 + len(pairs)) ** 2
        self._lengths = np.zeros(len(pairs), np.float32)
        for each, places in self._places.items():
            self._lengths[places] += self._weights[each]
        self._by_run = _by_bigram(postings)

    def similar(self, name: str, least: float) -> dict[int, float]:
        """Return {number: similarity} of the names with at least this similarity."""
        shares = np.zeros(len(self.numbers), np.float32)
        length = 0.0
        for known in dict.fromkeys(self._known(each) for each in roots(name)):
            weight = self._weights.get(known, self._unknown)
            length += weight
            if known in self._places:
                shares[self._places[known]] += weight
        places = np.flatnonzero(shares)
        similarity = shares[places] / np.sqrt(self._lengths[places] * max(length, 1e-9))
        enough = similarity >= least
        return dict(zip(self.numbers[places[enough]].tolist(), similarity[enough].tolist(), strict=True))

    def _known(self, word: str) -> str:
        """Return the root itself if indexed, else the one that it is a typo of, if any."""
        if word in self._places or len(word) < LEAST_MISTYPED:
            return word
        shared: dict[str, int] = defaultdict(int)
        for run in _bigrams(word):
            for other in self._by_run.get(run, ()):
                shared[other] += 1
        tried = sorted(shared, key=lambda other: (-shared[other], abs(len(other) - len(word)), other))[:MOST_TRIED]
        most = 2 if len(word) >= LONG_ROOT else 1
        near = [(typos(word, other, most), -len(self._places[other]), other) for other in tried]
        return min((each for each in near if each[0] <= most), default=(0, 0, word))[2]


def _bigrams(word: str) -> set[str]:
    padded = f"_{word}_"
    return {padded[place : place + 2] for place in range(len(padded) - 1)}


def _by_bigram(words: Mapping[str, object]) -> dict[str, list[str]]:
    by_bigram: dict[str, list[str]] = defaultdict(list)
    for word in words:
        for run in _bigrams(word):
            by_bigram[run].append(word)
    return dict(by_bigram)


def typos(left: str, right: str, most: int) -> int:
    """Return the Damerau-Levenshtein distance of two words, or most + 1 if greater."""
    if abs(len(left) - len(right)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for place, letter in enumerate(left, 1):
        earlier, before, row = before, row, [place]
        for at, its in enumerate(right, 1):
            cost = min(before[at] + 1, row[at - 1] + 1, before[at - 1] + (letter != its))
            if place > 1 and at > 1 and letter == right[at - 2] and left[place - 2] == its:
                cost = min(cost, earlier[at - 2] + 1)
            row.append(cost)
    return min(row[-1], most + 1)
