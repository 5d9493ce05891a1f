"""Which cosines mean something for a model: the thresholds of its manifest, measured on a sample of texts.

The rules are stated beside each threshold. They were chosen so that e5-small's own sample gives nearly what was found
by hand on 1,058 questions (docs/decisions/0007-preparing-models.md has both).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from encoders.base import Encoder
from encoders.manifest import ModelUnusable
from encoders.skill_pairs import OWN, read_pairs
from utils.language_means import LanguageMeans

SAMPLE_FILE = Path(__file__).resolve().parents[1] / "data" / "model-sample.json"
GIBBERISH_ALPHABETS = {
    "random Hebrew letters": "אבגדהוזחטיכלמנסעפצקרשת",
    "random Latin letters": "abcdefghijklmnopqrstuvwxyz",
    "random Thai and Chinese": "กขคงจชซญดตถทนบปผพฟมยรลวสหอ天地人山水火木金土日月",
    "digits and signs": "0123456789#@%*+=/\\|~^",
}
# A language counts as known if the right passages rank first, by mean reciprocal rank: e5-small has 1.0 in both
# languages, MiniLM 1.0 in English and .53 in Hebrew, which it does not know, random weights .73 and .45.
KNOWN_MRR = 0.85
_FEWEST_OF_A_LANGUAGE = 8
_LEAST_PRECISION = 0.95  # of the skills that count as the same
_LEAST_RANGE = 0.05  # between what scores 0 and what scores 1, and between unrelated and similar tags
# Languages lie apart: docs/decisions/0004-meaning.md has the measurements of the mean-centred cosine's weight.
_WEIGHT_OF_TWO, _WEIGHT_OF_ONE = 1.0, 0.15


@dataclass(frozen=True)
class Pair:
    """A query and a passage that answers it."""

    query: str
    passage: str


@dataclass(frozen=True)
class Sample:
    """Pairs, in which each query's own passage is the right one, and all passages and queries for the means."""

    pairs: tuple[Pair, ...]
    passages: tuple[str, ...]
    queries: tuple[str, ...]


@dataclass(frozen=True)
class ScoreRange:
    """The manifest's thresholds, the means of shape (2, 1 + languages, dim), and the languages that the model knows."""

    thresholds: dict[str, float]
    means: np.ndarray
    languages: tuple[str, ...]


def built_in_sample() -> Sample:
    """Return the project's own sample, Hebrew and English."""
    values = _sample_values()
    pairs = tuple(Pair(query, passage) for query, passage in values["pairs"])
    return Sample(pairs, tuple(pair.passage for pair in pairs), tuple(values["queries"]))


def related_tags() -> list[tuple[str, str]]:
    """Return pairs of tags that mean nearly the same."""
    return [(tag, other) for tag, other in _sample_values()["related_tags"]]


def gibberish(kinds: int = len(GIBBERISH_ALPHABETS)) -> Iterator[tuple[str, list[str]]]:
    """Yield kinds of strings that no passage answers, always the same: random letters and slips of the keyboard."""
    chance = random.Random(5)  # noqa: S311 - the same strings on every machine, no secret
    for name, alphabet in list(GIBBERISH_ALPHABETS.items())[:kinds]:
        words = ["".join(chance.choices(alphabet, k=chance.randint(3, 9))) for _ in range(450)]
        yield name, [" ".join(words[begin : begin + 3]) for begin in range(0, 450, 3)]
    yield "slips of the keyboard", _sample_values()["slips"]


def has_hebrew(text: str) -> bool:
    return any("א" <= letter <= "ת" for letter in text)


def measure_score_range(encoder: Encoder, sample: Sample) -> ScoreRange:
    """Measure a model on a sample. Raises ModelUnusable if its embeddings are not numbers."""
    queries = encoder.encode_queries([pair.query for pair in sample.pairs])
    passages = encoder.encode_passages([pair.passage for pair in sample.pairs])
    if not (np.isfinite(queries).all() and np.isfinite(passages).all()):
        raise ModelUnusable("the model's embeddings are not numbers: its weights are damaged")
    hebrew = np.array([has_hebrew(pair.passage) for pair in sample.pairs])
    masks = (("he", hebrew), ("en", ~hebrew))
    languages = tuple(name for name, rows in masks if _is_known(queries[rows], passages[rows]))
    known = np.isin(hebrew, list(_scripts(languages)))
    kinds = (encoder.encode_passages, sample.passages), (encoder.encode_queries, sample.queries)
    means = np.stack([_means(encode(texts), texts, languages) for encode, texts in kinds])
    has_two = len(means[0]) > 2
    similarities = _Similarities(means, _WEIGHT_OF_TWO if has_two else _WEIGHT_OF_ONE)
    thresholds = (
        similarities.scale(queries[known], passages[known])
        | similarities.floors(encoder, queries[known], passages[known])
        | _letters_threshold(encoder, [sample.pairs[row] for row in np.flatnonzero(known)])
        | (tags := _tag_thresholds(encoder, languages))
        | {"tag_same": max(_tag_same(encoder, languages), tags["tag_high"])}
        | ({"tag_across": _tag_across(encoder, similarities)} if has_two else {})
    )
    return ScoreRange({name: round(float(value), 4) for name, value in thresholds.items()}, means, languages)


class _Similarities:
    """The similarity of queries and passages as indexes/similarity.py computes it, from whole embeddings."""

    def __init__(self, means: np.ndarray, weight: float) -> None:
        self._passages, self._queries = LanguageMeans(means[0]), LanguageMeans(means[1])
        self._weight = weight

    def centred(self, queries: np.ndarray, passages: np.ndarray) -> np.ndarray:
        """Return the mean-centred cosines, shape (queries, passages)."""
        cosines: np.ndarray = _directions(self._queries, queries) @ _directions(self._passages, passages).T
        return cosines

    def between_tags(self, tags: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return the mean-centred cosines of tags: both sides have the prefix of queries."""
        cosines: np.ndarray = _directions(self._queries, tags) @ _directions(self._queries, others).T
        return cosines

    def scale(self, queries: np.ndarray, passages: np.ndarray) -> dict[str, float]:
        """Return the score's range: below it lie a quarter of the unrelated pairs, above it a tenth of the right ones.

        Below the floor are 85 of 100 unrelated pairs, unless more than 5 of 100 right passages would be too.
        """
        right, unrelated = _split_pairs(queries @ passages.T + self._weight * self.centred(queries, passages))
        low, high = np.percentile(unrelated, 25), np.percentile(right, 90)
        floor = min(np.percentile(unrelated, 85), np.percentile(right, 5))
        return {
            "centred_weight": self._weight,
            "score_low": low,
            "score_high": max(high, low + _LEAST_RANGE),
            "score_floor": max(floor, low),
        }

    def floors(self, encoder: Encoder, queries: np.ndarray, passages: np.ndarray) -> dict[str, float]:
        """Return the floors of the mean-centred cosine: below the strict one are 98 of 100 gibberish strings.

        Below the other one are half of them, unless more than 5 of 100 right passages would be too.
        """
        strings = [string for _, group in gibberish() for string in group]
        best = self.centred(encoder.encode_queries(strings), passages).max(axis=1)
        right, _ = _split_pairs(self.centred(queries, passages))
        strict = np.percentile(best, 98)
        return {"strict_floor": strict, "centred_floor": min(np.percentile(best, 50), np.percentile(right, 5), strict)}


def _sample_values() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(SAMPLE_FILE.read_text(encoding="utf-8"))
    return values


def _is_known(queries: np.ndarray, passages: np.ndarray) -> bool:
    if len(queries) < _FEWEST_OF_A_LANGUAGE:
        return False
    similarities = queries @ passages.T
    ranks = (similarities >= np.diag(similarities)[:, None]).sum(axis=1)
    return bool((1 / ranks).mean() >= KNOWN_MRR)


def _means(embeddings: np.ndarray, texts: Sequence[str], languages: Sequence[str]) -> np.ndarray:
    """Return float32 (1 + languages, dim): the mean of all texts and, if the model knows two languages, of each."""
    hebrew = np.array([has_hebrew(text) for text in texts])
    known = embeddings[np.isin(hebrew, list(_scripts(languages)))]
    if len(languages) < 2 or min(hebrew.sum(), (~hebrew).sum()) < _FEWEST_OF_A_LANGUAGE:
        return np.stack([known.mean(axis=0)])
    return np.stack([rows.mean(axis=0) for rows in (known, embeddings[hebrew], embeddings[~hebrew])])


def _letters_threshold(encoder: Encoder, pairs: Sequence[Pair]) -> dict[str, float]:
    """Return the letters per token below which a query looks like gibberish: most random letters do, few words."""
    strings = [string for _, group in gibberish(kinds=2) for string in group]
    random_rates, real_rates = (
        [_letters_per_token(encoder, text) for text in texts] for texts in (strings, [pair.query for pair in pairs])
    )
    return {"letters_per_token": min(np.percentile(random_rates, 95), np.percentile(real_rates, 5))}


def _letters_per_token(encoder: Encoder, text: str) -> float:
    tokens = encoder.count_tokens(text) - encoder.count_tokens("")
    return len("".join(text.split())) / max(tokens, 1)


def _tag_thresholds(encoder: Encoder, languages: Sequence[str]) -> dict[str, float]:
    """Return from where two tags may be related and from where they are similar, by a written list of related pairs.

    Similar is what hardly any two unrelated tags reach, and at least half of the related pairs do.
    """
    pairs = [pair for pair in related_tags() if all(has_hebrew(tag) in _scripts(languages) for tag in pair)]
    names = sorted({tag for pair in pairs for tag in pair})
    embeddings = encoder.encode_tags(names)
    rows = {name: row for row, name in enumerate(names)}
    cosines = embeddings @ embeddings.T
    written = {frozenset(pair) for pair in pairs}
    unrelated = [
        cosines[rows[tag], rows[other]] for tag, other in combinations(names, 2) if {tag, other} not in written
    ]
    related = [cosines[rows[tag], rows[other]] for tag, other in pairs]
    low = np.percentile(unrelated, 90)
    high = max(min(np.percentile(unrelated, 99), np.median(related)), low + _LEAST_RANGE / 2)
    return {"tag_low": low, "tag_high": min(high, 0.9999)}


def _tag_same(encoder: Encoder, languages: Sequence[str]) -> float:
    """Return the lowest cosine from which 95 of 100 pairs of skills mean the same, among the project's pairs.

    Pairs across two languages are left out: a model whose languages lie apart would count none of them.
    """
    scripts = [{script} for script in _scripts(languages)]
    pairs = [pair for pair in read_pairs(OWN) if {has_hebrew(pair.one), has_hebrew(pair.other)} in scripts]
    skills, others = (encoder.encode_tags([getattr(pair, name) for pair in pairs]) for name in ("one", "other"))
    cosines = (skills * others).sum(axis=1)
    order = np.argsort(-cosines, kind="stable")
    is_close = np.array([pair.is_close for pair in pairs])[order]
    precise = np.flatnonzero(np.cumsum(is_close) / np.arange(1, len(is_close) + 1) >= _LEAST_PRECISION)
    return float(min(cosines[order[precise[-1]]] if len(precise) else 1.0, 0.9999))


def _tag_across(encoder: Encoder, similarities: _Similarities) -> float:
    """Return the mean-centred cosine that 1 in 500 unrelated pairs of a Hebrew and an English skill reach."""
    pairs = read_pairs(OWN)
    names = sorted({name for pair in pairs for name in (pair.one, pair.other)})
    hebrew, english = ([name for name in names if has_hebrew(name) is wanted] for wanted in (True, False))
    cosines = similarities.between_tags(encoder.encode_tags(hebrew), encoder.encode_tags(english))
    for pair in pairs:
        if pair.is_close and has_hebrew(pair.one) and not has_hebrew(pair.other):
            cosines[hebrew.index(pair.one), english.index(pair.other)] = np.nan
    return float(np.nanpercentile(cosines, 100 - 100 / 500))


def _scripts(languages: Sequence[str]) -> set[bool]:
    """Return which scripts count, True for Hebrew: those of the known languages, or both if none is known."""
    return {language == "he" for language in languages} or {True, False}


def _directions(language_means: LanguageMeans, embeddings: np.ndarray) -> np.ndarray:
    centred = embeddings - language_means.centre
    rows = language_means.less_means(centred, language_means.groups(centred))
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def _split_pairs(similarities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarities of each query with its own passage, and with all others."""
    return np.diag(similarities), similarities[~np.eye(len(similarities), dtype=bool)]
