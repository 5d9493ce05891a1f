"""Precision and recall of calling two skills close, measured on human-judged pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from encoders.base import Encoder
from encoders.manifest import load_means
from encoders.skill_pairs import SkillPair
from indexes.similarity import TagSimilarity
from matching.tag_names import MIN_NAME_SIMILARITY
from utils.language_means import LanguageMeans
from utils.name_similarity import NameIndex

LEAST_PRECISION = 0.9


@dataclass(frozen=True, slots=True)
class PairFigures:
    """Counts of pairs: judged close, called close, and called close correctly."""

    name: str
    pairs: int
    close: int
    called: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.called if self.called else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.close if self.close else 1.0


def called_close(encoder: Encoder, pairs: Sequence[SkillPair]) -> list[bool]:
    """Return whether matching calls each pair close, by the model's threshold or by name similarity."""
    names = sorted({name for pair in pairs for name in (pair.one, pair.other)})
    places = {name: place for place, name in enumerate(names)}
    vectors = encoder.encode_tags(names)
    same = TagSimilarity(encoder.manifest, LanguageMeans(load_means(encoder.manifest)[1])).similarities(
        vectors, vectors
    )
    alike = NameIndex(enumerate(names)).similar
    return [
        bool(same[places[pair.one], places[pair.other]] > 0)
        or any(places[b] in alike(a, MIN_NAME_SIMILARITY) for a, b in ((pair.one, pair.other), (pair.other, pair.one)))
        for pair in pairs
    ]


def pair_figures(pairs: Sequence[SkillPair], called: Sequence[bool]) -> list[PairFigures]:
    """Return the figures for all pairs, two halves (every other pair), and each combination of languages."""
    every = list(zip(pairs, called, strict=True))
    parts = {"all": every, "every other pair": every[::2], "the others": every[1::2]}
    for name in sorted({pair.languages for pair in pairs}):
        parts[name] = [each for each in every if each[0].languages == name]
    return [
        PairFigures(
            name,
            len(part),
            sum(pair.is_close for pair, _ in part),
            sum(was_called for _, was_called in part),
            sum(pair.is_close and was_called for pair, was_called in part),
        )
        for name, part in parts.items()
    ]
