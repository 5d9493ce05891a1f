"""BM25 of the documents of a segment, for words that stand in texts, titles and other fields in several forms.

Arrays of all documents of a segment are added to and multiplied as a whole: with numpy that is quicker than to gather
the documents that have a word, unless it has one form.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes.segments import ListedSegment, TermPostings
from search.interpretation import QueryWord
from utils.terms import FIELD, TEXT, TITLE, text_term

# Measured on questions over Hebrew passages (MRR@10 .945; .919 without forms that are spelled alike).
K1, B = 1.0, 0.6
TITLE_WEIGHT, FIELD_WEIGHT = 0.3, 0.3
SIMILAR_WEIGHT, SIMILAR_POWER = 0.3, 1.5  # the weight is for each letter of the word: longer words say more
# The score of a word is multiplied by a power of the weight of the best form that a document has.
FORM_POWER, ALONE_POWER, ONLY_SIMILAR = 0.1, 1.0, 0.5
CORRECTED_SHARE = 0.7  # what a word counts that no document has, and that is taken for another
LEAST_ALIKE = 0.1  # weighted frequency from which on a document counts as having a form that is spelled alike
NARROW = 8  # a mask leaves fewer than one in so many documents: postings are cut before they are counted

Floats = NDArray[np.float32]
WeightedPostings = Sequence[tuple[TermPostings, float]]  # of several forms in one segment, each with its weight


@dataclass(frozen=True, slots=True)
class _SegmentWord:
    """The postings of a word in one segment: in texts, titles and other fields, and of forms spelled like it."""

    text: WeightedPostings
    title: WeightedPostings
    field: WeightedPostings
    similar: WeightedPostings


@dataclass(frozen=True, slots=True)
class ScoredWord:
    """A word of the query with its postings in each segment."""

    word: QueryWord
    parts: Sequence[_SegmentWord]

    @classmethod
    def of(cls, word: QueryWord, postings: Sequence[Mapping[int, TermPostings]]) -> ScoredWord:
        """Return the word with those of the postings, by term for each segment, that are its own."""
        forms = sorted(word.forms.items(), key=lambda pair: pair[1])
        similar = [(form, similarity**SIMILAR_POWER) for form, similarity in word.similar.items()]
        parts = [
            _SegmentWord(
                text=_found(forms, TEXT, terms),
                title=_found(forms, TITLE, terms),
                field=_found(forms, FIELD, terms),
                similar=_found(similar, TEXT, terms),
            )
            for terms in postings
        ]
        return cls(word, parts)


def _found(weights: Iterable[tuple[str, float]], kind: int, terms: Mapping[int, TermPostings]) -> WeightedPostings:
    parts = ((terms.get(text_term(form) | kind), weight) for form, weight in weights)
    return [(part, weight) for part, weight in parts if part is not None]


class Scorer:
    """Scores documents for the words of a query."""

    def __init__(self, segments: Sequence[ListedSegment], words: Sequence[ScoredWord]) -> None:
        self._segments, self._words = segments, words
        documents = sum(segment.count for segment in segments)
        self._mean_length = sum(segment.words for segment in segments) / max(documents, 1)
        self._mean_title = sum(segment.titles for segment in segments) / max(documents, 1)
        self._idfs = [idf(self._having(word), documents) for word in words]
        self._similar_weights = [self._similar_weight(word, documents) for word in words]
        self._bound = (K1 + 1) * (sum(self._idfs) + sum(self._similar_weights))
        # A query of one word is answered with that word first; in others a related form may be what was meant.
        self._power = ALONE_POWER if len(words) == 1 else FORM_POWER

    def _having(self, word: ScoredWord) -> int:
        """Return how many documents have the word in their texts, or if none has, in other fields."""
        sizes = [segment.size for segment in self._segments]
        of_texts = sum(_count(part.text, size) for part, size in zip(word.parts, sizes, strict=True))
        return of_texts or sum(_count(part.field, size) for part, size in zip(word.parts, sizes, strict=True))

    def _similar_weight(self, word: ScoredWord, documents: int) -> float:
        if not word.word.similar:
            return 0.0
        alike = 0
        for segment, part in zip(self._segments, word.parts, strict=True):
            if part.similar:
                frequencies = _sum_frequencies(part.similar, np.empty(segment.size, np.float32))
                alike += int(np.count_nonzero(frequencies > LEAST_ALIKE))
        return SIMILAR_WEIGHT * len(word.word.typed) * idf(alike, documents)

    def scores(
        self, place: int, mask: NDArray[np.bool_] | None, listed_only: bool
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the documents of a segment that pass the mask and match, and their scores from 0 to 1.

        Without `listed_only`, forms that are merely spelled like a word of the query suffice.
        """
        segment = self._segments[place]
        cut = mask if mask is not None and np.count_nonzero(mask) * NARROW < segment.size else None
        sums = _Sums(segment.size)
        norm = _norm(segment.documents.lengths, self._mean_length)
        title_norm = _norm(segment.documents.titles, self._mean_title)
        for word, weight, similar_weight in zip(self._words, self._idfs, self._similar_weights, strict=True):
            parts = _within(word.parts[place], cut)
            if parts.text or parts.field or parts.similar:
                sums.of_word.fill(0)
                sums.add(parts.text, weight, norm)
                sums.add(parts.field, FIELD_WEIGHT * weight, None)
                sums.add(parts.title, TITLE_WEIGHT * weight, title_norm)
                sums.add(parts.similar, similar_weight, norm)
                power = 0.0 if word.word.is_corrected else self._power
                forms = sorted((*parts.field, *parts.text), key=lambda pair: pair[1])
                sums.end_word(forms, power, CORRECTED_SHARE if word.word.is_corrected else 1.0)
        listed = sums.listed if listed_only else sums.scores > 0
        numbers = np.flatnonzero(listed if mask is None else listed & mask)
        return numbers, np.minimum(sums.scores[numbers].astype(np.float64) / max(self._bound, 1e-9), 1.0)


class _Sums:
    """The scores of the documents of a segment, while they are summed up.

    Arrays are used again: to allocate one takes longer than to fill it.
    """

    def __init__(self, size: int) -> None:
        self.scores, self.of_word = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.listed = np.zeros(size, bool)
        self._frequencies, self._scratch = np.empty(size, np.float32), np.empty(size, np.float32)

    def add(self, parts: WeightedPostings, weight: float, norm: Floats | None) -> None:
        """Add the part of BM25 of a word's postings; without `norm` the length of a document does not count."""
        if len(parts) == 1:
            postings, of_form = parts[0]
            documents = postings.documents.astype(np.intp)
            frequencies = postings.frequencies * np.float32(of_form)
            of_length = np.float32(K1) if norm is None else norm[documents]
            self.of_word[documents] += np.float32(weight * (K1 + 1)) * (frequencies / (frequencies + of_length))
        elif parts:
            frequencies = _sum_frequencies(parts, self._frequencies)
            scratch = np.add(frequencies, np.float32(K1) if norm is None else norm, out=self._scratch)
            np.divide(frequencies, scratch, out=scratch)
            scratch *= np.float32(weight * (K1 + 1))
            self.of_word += scratch

    def end_word(self, forms: WeightedPostings, power: float, share: float) -> None:
        """Add the word's scores, each times its certainty: a power of the weight of the best form, given in order."""
        certainty = self._scratch
        certainty.fill(share * ONLY_SIMILAR)
        for postings, weight in forms:
            documents = postings.documents.astype(np.intp)
            certainty[documents] = share * weight**power
            self.listed[documents] = True
        certainty *= self.of_word
        self.scores += certainty


def _count(parts: WeightedPostings, size: int) -> int:
    if len(parts) < 2:
        return sum(len(postings.documents) for postings, _ in parts)
    having = np.zeros(size, bool)
    for postings, _ in parts:
        having[postings.documents.astype(np.intp)] = True
    return int(np.count_nonzero(having))


def _within(parts: _SegmentWord, mask: NDArray[np.bool_] | None) -> _SegmentWord:
    """Return the postings of documents that pass the mask."""
    if mask is None:
        return parts
    cut = (_cut(kind, mask) for kind in (parts.text, parts.title, parts.field, parts.similar))
    return _SegmentWord(*cut)


def _cut(parts: WeightedPostings, mask: NDArray[np.bool_]) -> WeightedPostings:
    kept = []
    for postings, weight in parts:
        passes = mask[postings.documents.astype(np.intp)]
        if passes.any():
            frequencies = postings.frequencies[passes]
            kept.append((TermPostings(postings.segment, postings.documents[passes], frequencies), weight))
    return kept


def _sum_frequencies(parts: WeightedPostings, sums: Floats) -> Floats:
    """Put the sum of the forms' frequencies in each document, times their weights, into `sums`, and return it."""
    sums.fill(0)
    for postings, weight in parts:
        sums[postings.documents.astype(np.intp)] += postings.frequencies * np.float32(weight)
    return sums


def _norm(lengths: NDArray[Any], mean: float) -> Floats:
    norm: Floats = np.float32(K1 * (1 - B)) + np.float32(K1 * B / max(mean, 1e-9)) * lengths.astype(np.float32)
    return norm


def idf(having: int, documents: int) -> float:
    """Return the inverse document frequency of a word in `having` of `documents`; never negative."""
    having = min(having, documents)
    return math.log(1 + (documents - having + 0.5) / (having + 0.5))
