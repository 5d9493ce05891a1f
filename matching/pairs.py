"""How right it is to call two skills close: pairs that people judged, put to matching itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from encoders.base import Encoder
from encoders.manifest import load_means
from encoders.skill_pairs import SkillPair
from indexes.tag_similarity import Closeness
from matching.tag_names import LEAST_ALIKE
from utils.language_means import MeanGroups
from utils.name_similarity import Wordings

LEAST_PRECISION = 0.9  # of what is called close


@dataclass(frozen=True, slots=True)
class Judged:
    """Of how many pairs so many are close, so many were called so, and so many of those rightly."""

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
    """Return whether matching calls each pair close: by the model's cut-off, or by their words."""
    names = sorted({name for pair in pairs for name in (pair.one, pair.other)})
    places = {name: place for place, name in enumerate(names)}
    vectors = encoder.encode_tags(names)
    same = Closeness(encoder.manifest, MeanGroups(load_means(encoder.manifest)[1])).same(vectors, vectors)
    alike = Wordings(enumerate(names)).alike
    return [
        bool(same[places[pair.one], places[pair.other]] > 0)
        or any(places[b] in alike(a, LEAST_ALIKE) for a, b in ((pair.one, pair.other), (pair.other, pair.one)))
        for pair in pairs
    ]


def judged(pairs: Sequence[SkillPair], called: Sequence[bool]) -> list[Judged]:
    """Return the figures of all pairs, of the two halves (every other one), and of each mixture of languages."""
    every = list(zip(pairs, called, strict=True))
    parts = {"all": every, "every other pair": every[::2], "the others": every[1::2]}
    for name in sorted({pair.languages for pair in pairs}):
        parts[name] = [each for each in every if each[0].languages == name]
    return [
        Judged(
            name,
            len(part),
            sum(pair.is_close for pair, _ in part),
            sum(was_called for _, was_called in part),
            sum(pair.is_close and was_called for pair, was_called in part),
        )
        for name, part in parts.items()
    ]
