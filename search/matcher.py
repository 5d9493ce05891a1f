"""What counts as a match in a text: forms with weights, the query words they stand for, and phrases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from utils.hebrew import forms

PHRASE_WEIGHT = 100.0  # a passage with an exact phrase comes before any without


@dataclass(frozen=True, slots=True)
class QueryMatcher:
    """The folded forms that match a query, with their weights, and its phrases as sequences of folded words.

    `word_of` names the query word that a form stands for; forms of one word count once in a passage. A form that is
    missing from it stands for itself.
    """

    forms: Mapping[str, float]
    phrases: tuple[tuple[str, ...], ...] = ()
    word_of: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.forms or self.phrases)

    def holds(self, form: str) -> bool:
        return form in self.forms

    def query_words(self, text: str) -> set[str]:
        """Return the query words that a text has."""
        return {self.word_of.get(form, form) for form in forms(text) if form in self.forms}

    @property
    def reach(self) -> int:
        """Return how many characters a phrase may run on past the end of a block, niqqud and spaces included."""
        return max((4 * len(" ".join(phrase)) for phrase in self.phrases), default=0)

    def best_possible(self) -> float:
        """Return the score of a passage with every phrase and every word of the query."""
        return self.score(self.forms) + PHRASE_WEIGHT * len(self.phrases)

    def score(self, held: Iterable[str]) -> float:
        """Return the sum of the weights of the query words among the forms, each by its heaviest form."""
        weights: dict[str, float] = {}
        for form in held:
            if form in self.forms:
                word = self.word_of.get(form, form)
                weights[word] = max(weights.get(word, 0.0), self.forms[form])
        return sum(weights.values())


NO_WORDS = QueryMatcher({})
