"""Measures a model's cosine thresholds, which its manifest stores, on a sample of texts.

Each function documents its rule. The rules were chosen so that e5-small's sample gives nearly the thresholds that were
found by hand on 1,058 questions (docs/decisions/0007-preparing-models.md has both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from encoders.base import Encoder
from encoders.preparing.folder import NotPrepared
from encoders.preparing.pairs import RELATED_TAGS
from encoders.preparing.senseless import senseless
from encoders.preparing.texts import Pair, Sample, has_hebrew
from encoders.skill_pairs import OWN, SkillPair, read_pairs
from utils.language_means import LanguageMeans

# From this mean reciprocal rank of the right passages on, a model knows a language: e5-small has 1.0 in both languages,
# MiniLM 1.0 in English and .53 in Hebrew, which it does not know, random weights .73 and .45.
KNOWN_MRR = 0.85
_FEWEST_OF_A_LANGUAGE = 8
_LEAST_PRECISION = 0.95  # of the pairs of skills taken for synonyms
_LEAST_RANGE = 0.05  # between a score of 0 and of 1, and between unrelated and close tags
# Two languages form separate clusters: docs/decisions/0004-meaning.md measures the weights of the centred cosine.
_WEIGHT_OF_TWO, _WEIGHT_OF_ONE = 1.0, 0.15


@dataclass(frozen=True)
class Measured:
    """The thresholds, the means of shape (2, 1 + languages, dim), and the languages that the model knows."""

    cut_offs: dict[str, float]
    means: np.ndarray
    languages: tuple[str, ...]


def measured(encoder: Encoder, sample: Sample) -> Measured:
    """Measure a model on a sample. Raises NotPrepared for embeddings that are not finite."""
    asked = encoder.encode_queries([pair.query for pair in sample.pairs])
    found = encoder.encode_passages([pair.passage for pair in sample.pairs])
    if not (np.isfinite(asked).all() and np.isfinite(found).all()):
        raise NotPrepared("the model returns embeddings that are not finite numbers: its weights are damaged")
    hebrew = np.array([has_hebrew(pair.passage) for pair in sample.pairs])
    languages = tuple(name for name, rows in (("he", hebrew), ("en", ~hebrew)) if _is_known(asked[rows], found[rows]))
    known = _rows_of(hebrew, languages)
    means = _means(encoder, sample, languages)
    two = len(means[0]) > 2
    similarities = _Similarities(means, _WEIGHT_OF_TWO if two else _WEIGHT_OF_ONE)
    cut_offs = (
        similarities.scale(asked[known], found[known])
        | similarities.floors(encoder, asked[known], found[known])
        | _letters(encoder, [sample.pairs[row] for row in np.flatnonzero(known)])
        | (tags := _tags(encoder, languages))
        | {"tag_same": max(_tag_same(encoder, languages), tags["tag_high"])}
        | ({"tag_across": _tag_across(encoder, similarities)} if two else {})
    )
    return Measured({name: round(float(value), 4) for name, value in cut_offs.items()}, means, languages)


class _Similarities:
    """The similarity of queries and passages as in indexes/similarity.py, from float32 embeddings."""

    def __init__(self, means: np.ndarray, weight: float) -> None:
        self._passages, self._queries = LanguageMeans(means[0]), LanguageMeans(means[1])
        self._weight = weight

    def centred(self, asked: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Return the mean-centred cosines, shape (queries, passages)."""
        cosines: np.ndarray = _directions(self._queries, asked) @ _directions(self._passages, found).T
        return cosines

    def between_tags(self, ones: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the mean-centred cosines of tags, which are encoded as queries."""
        cosines: np.ndarray = _directions(self._queries, ones) @ _directions(self._queries, others).T
        return cosines

    def scale(self, asked: np.ndarray, found: np.ndarray) -> dict[str, float]:
        """Return the range of the score: 25 % of unrelated pairs are below it, 10 % of the right ones above.

        The floor excludes 85 % of the unrelated pairs, but at most 5 % of the right ones.
        """
        similarities = asked @ found.T + self._weight * self.centred(asked, found)
        right, strangers = _apart(similarities)
        low, high = np.percentile(strangers, 25), np.percentile(right, 90)
        floor = min(np.percentile(strangers, 85), np.percentile(right, 5))
        return {
            "centred_weight": self._weight,
            "score_low": low,
            "score_high": max(high, low + _LEAST_RANGE),
            "score_floor": max(floor, low),
        }

    def floors(self, encoder: Encoder, asked: np.ndarray, found: np.ndarray) -> dict[str, float]:
        """Return the floors of the centred cosine: the strict one excludes 98 % of the gibberish.

        The other excludes half of it, but at most 5 % of the right passages.
        """
        strings = [string for _, some in senseless() for string in some]
        best = self.centred(encoder.encode_queries(strings), found).max(axis=1)
        right, _ = _apart(self.centred(asked, found))
        strict = np.percentile(best, 98)
        return {"strict_floor": strict, "centred_floor": min(np.percentile(best, 50), np.percentile(right, 5), strict)}


def _is_known(asked: np.ndarray, found: np.ndarray) -> bool:
    if len(asked) < _FEWEST_OF_A_LANGUAGE:
        return False
    similarities = asked @ found.T
    ranks = (similarities >= np.diag(similarities)[:, None]).sum(axis=1)
    return bool((1 / ranks).mean() >= KNOWN_MRR)


def _rows_of(hebrew: np.ndarray, languages: Sequence[str]) -> np.ndarray:
    """Return which pairs are used: those of the known languages, or all if none is known."""
    if not languages:
        return np.ones(len(hebrew), dtype=bool)
    rows: np.ndarray = (hebrew & ("he" in languages)) | (~hebrew & ("en" in languages))
    return rows


def _means(encoder: Encoder, sample: Sample, languages: Sequence[str]) -> np.ndarray:
    """Return the means of all texts and, if the model knows two languages, of each: float32 (2, 1 + languages, dim)."""
    kinds = (encoder.encode_passages, sample.passages), (encoder.encode_queries, sample.queries)
    return np.stack([_by_language(encode(texts), texts, languages) for encode, texts in kinds])


def _by_language(embeddings: np.ndarray, texts: Sequence[str], languages: Sequence[str]) -> np.ndarray:
    hebrew = np.array([has_hebrew(text) for text in texts])
    known = embeddings[_rows_of(hebrew, languages)]
    if len(languages) < 2 or min(hebrew.sum(), (~hebrew).sum()) < _FEWEST_OF_A_LANGUAGE:
        return np.stack([known.mean(axis=0)])
    return np.stack([rows.mean(axis=0) for rows in (known, embeddings[hebrew], embeddings[~hebrew])])


def _letters(encoder: Encoder, pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the letters per token below which a query looks like gibberish: random letters mostly do, words rarely."""
    strings = [string for _, some in senseless(kinds=2) for string in some]
    random_ones, real = (
        [_letters_a_token(encoder, text) for text in texts] for texts in (strings, [pair.query for pair in pairs])
    )
    return {"letters_per_token": min(np.percentile(random_ones, 95), np.percentile(real, 5))}


def _letters_a_token(encoder: Encoder, text: str) -> float:
    tokens = encoder.count_tokens(text) - encoder.count_tokens("")
    return len("".join(text.split())) / max(tokens, 1)


def _tags(encoder: Encoder, languages: Sequence[str]) -> dict[str, float]:
    """Return the cosines from which two tags are not unrelated, and from which they are close.

    Hardly any unrelated pairs are close, and at least half of the related pairs in pairs.py are.
    """
    pairs = [pair for pair in RELATED_TAGS if all(has_hebrew(tag) in _scripts(languages) for tag in pair)]
    names = sorted({tag for pair in pairs for tag in pair})
    embeddings = encoder.encode_tags(names)
    places = {name: place for place, name in enumerate(names)}
    cosines = embeddings @ embeddings.T
    written = {frozenset(pair) for pair in pairs}
    strangers = [cosines[places[one], places[two]] for one, two in combinations(names, 2) if {one, two} not in written]
    related = [cosines[places[one], places[two]] for one, two in pairs]
    low = np.percentile(strangers, 90)
    high = max(min(np.percentile(strangers, 99), np.median(related)), low + _LEAST_RANGE / 2)
    return {"tag_low": low, "tag_high": min(high, 0.9999)}


def _tag_same(encoder: Encoder, languages: Sequence[str]) -> float:
    """Return the lowest cosine above which 95 % of the shipped pairs of skills are synonyms.

    Pairs across languages are left out: with separate clusters for languages, none would count.
    """
    pairs = [pair for pair in read_pairs(OWN) if _is_of(pair, languages)]
    ones, others = (encoder.encode_tags([getattr(pair, name) for pair in pairs]) for name in ("one", "other"))
    cosines = (ones * others).sum(axis=1)
    order = np.argsort(-cosines, kind="stable")
    close = np.array([pair.is_close for pair in pairs])[order]
    precise = np.flatnonzero(np.cumsum(close) / np.arange(1, len(close) + 1) >= _LEAST_PRECISION)
    return float(min(cosines[order[precise[-1]]] if len(precise) else 1.0, 0.9999))


def _tag_across(encoder: Encoder, similarities: _Similarities) -> float:
    """Return the mean-centred cosine that 1 in 500 unpaired Hebrew and English skills reach."""
    pairs = read_pairs(OWN)
    names = sorted({name for pair in pairs for name in (pair.one, pair.other)})
    hebrew, english = ([name for name in names if has_hebrew(name) is wanted] for wanted in (True, False))
    found = similarities.between_tags(encoder.encode_tags(hebrew), encoder.encode_tags(english))
    for pair in pairs:
        if pair.is_close and has_hebrew(pair.one) and not has_hebrew(pair.other):
            found[hebrew.index(pair.one), english.index(pair.other)] = np.nan
    return float(np.nanpercentile(found, 100 - 100 / 500))


def _is_of(pair: SkillPair, languages: Sequence[str]) -> bool:
    scripts = {has_hebrew(pair.one), has_hebrew(pair.other)}
    return len(scripts) == 1 and scripts <= _scripts(languages)


def _scripts(languages: Sequence[str]) -> set[bool]:
    return {language == "he" for language in languages} or {True, False}


def _directions(groups: LanguageMeans, embeddings: np.ndarray) -> np.ndarray:
    centred = embeddings - groups.centre
    rows = groups.less_means(centred, groups.groups(centred))
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def _apart(similarities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarities of the pairs, and of unrelated queries and passages."""
    return np.diag(similarities), similarities[~np.eye(len(similarities), dtype=bool)]
