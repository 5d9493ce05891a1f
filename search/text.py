"""Keyword search: BM25 over the postings of every document that has a word of the query."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from indexes.filters import Filter
from indexes.segments import (
    DOCUMENTS,
    VOCABULARY,
    ListedSegment,
    SegmentGone,
    TermPostings,
    read_terms,
    segments_by_kind,
)
from indexes.words import column_key
from search.interpretation import Interpretation, QueryWord, corrected, interpret
from search.masks import Masks, document_masks
from search.matcher import QueryMatcher
from search.query import QueryParts
from search.results import Correction
from utils.terms import FIELD, TEXT, TITLE, filter_term, text_term
from utils.word_readings import Readings, current_readings

# Measured on questions over Hebrew passages (MRR@10 .945; .919 without forms that are spelled alike).
K1, B = 1.0, 0.6
TITLE_WEIGHT, FIELD_WEIGHT = 0.3, 0.3
SIMILAR_WEIGHT, SIMILAR_POWER = 0.3, 1.5  # the weight is for each letter of the word: longer words say more
# The score of a word is multiplied by a power of the weight of the best form that a document has.
FORM_POWER, ALONE_POWER, ONLY_SIMILAR = 0.1, 1.0, 0.5
LEAST_ALIKE = 0.1  # weighted frequency from which on a document counts as having a form that is spelled alike
MOST_RANKED = 2_000
TRIES = 4  # segments that are merged during a search are listed again
FEW = 2_000  # postings up to which they are sorted instead of counted in an array of all documents
# Searches that read postings at the same time: more are no faster under the GIL and need more memory.
_slots = BoundedSemaphore(2)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TextMatches:
    """The best documents and their scores from 0 to 1, best first; `total` is the number of all that match."""

    documents: NDArray[np.int64]
    scores: NDArray[np.float64]
    total: int = 0

    @property
    def complete(self) -> bool:
        return self.total == len(self.documents)

    @classmethod
    def none(cls) -> TextMatches:
        return cls(np.zeros(0, np.int64), np.zeros(0))


class TextQuery:
    """The words of a query against one state of the index: finds documents, and scores any document."""

    def __init__(self, session: Session, parts: QueryParts, readings: Readings | None = None) -> None:
        self._session = session
        with _slots:
            self._index = _until_consistent(lambda: _QueryIndex(session, parts, readings or current_readings()))

    @property
    def interpretation(self) -> Interpretation:
        return self._index.interpretation

    @property
    def reasons(self) -> tuple[tuple[Correction, ...], QueryMatcher]:
        """Return what the results page says of the words, and what it marks."""
        return self.interpretation.corrections(), self.interpretation.matcher()

    @property
    def is_empty(self) -> bool:
        """True if the query has neither words, other than excluded ones, nor operators on columns."""
        return not self.interpretation.words and not self.parts.columns

    @property
    def parts(self) -> QueryParts:
        """Return the query with operators only on columns that a document has."""
        return self._index.parts

    @property
    def knows_a_word(self) -> bool:
        """True if any document contains a word of the query as it is."""
        return any(not word.is_corrected for word in self.interpretation.words)

    def matches(self, restriction: Filter) -> TextMatches:
        """Return the documents that match and pass the filter."""
        if self.is_empty:
            return TextMatches.none()
        with _slots:
            masks = _until_consistent(lambda: self._masks(restriction))
            parts = [(place, *self._index.scores(place, mask)) for place, mask in enumerate(masks)]
        total = sum(len(numbers) for _, numbers, _ in parts)
        best = [self._best(place, numbers, scores) for place, numbers, scores in parts if len(numbers)]
        if not best:
            return TextMatches.none()
        documents, scores = (np.concatenate(columns) for columns in zip(*best, strict=True))
        order = np.lexsort((documents, -scores))[:MOST_RANKED]
        return TextMatches(documents[order], scores[order], total)

    def _masks(self, restriction: Filter) -> Masks:
        return document_masks(self._session, self._index.segments, self.interpretation, self.parts, restriction)

    def _best(
        self, place: int, numbers: NDArray[Any], scores: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if len(scores) > MOST_RANKED:
            least = np.partition(scores, -MOST_RANKED)[-MOST_RANKED]
            kept = scores >= least  # with all of the same score: ties are broken by key
            numbers, scores = numbers[kept], scores[kept]
        return self._index.segments[place].documents.keys[numbers], scores

    def scores(self, documents: Sequence[int]) -> dict[int, float]:
        """Return {document: score}, 0 without a word of the query; those that it excludes are left out."""
        wanted = np.array(sorted(documents), np.int64)
        result: dict[int, float] = {}
        masks = _until_consistent(lambda: self._masks(Filter()))
        for place, (segment, mask) in enumerate(zip(self._index.segments, masks, strict=True)):
            numbers = segment.documents.numbers_of(wanted)
            numbers = numbers[numbers >= 0]
            if segment.alive is not None:
                numbers = numbers[segment.alive[numbers]]
            only = np.zeros(segment.size, bool)
            only[numbers] = True
            if mask is not None:
                only &= mask
            result |= dict.fromkeys(segment.documents.keys[only].tolist(), 0.0)
            found, scores = self._index.scores(place, only, listed_only=False)
            result |= dict(zip(segment.documents.keys[found].tolist(), scores.tolist(), strict=True))
        return result


def _until_consistent(read: Callable[[], Result]) -> Result:
    """Read again while segments are merged meanwhile."""
    for _ in range(TRIES - 1):
        try:
            return read()
        except SegmentGone:
            continue
    return read()


Frequencies = tuple[NDArray[Any], NDArray[np.float64]]  # documents of a segment, and how often a word is in each


@dataclass(frozen=True, slots=True)
class _WordPostings:
    """A word of the query in each segment: in texts, titles and other fields, and what is spelled like it."""

    text: Sequence[Frequencies]
    title: Sequence[Frequencies]
    field: Sequence[Frequencies]
    similar: Sequence[Frequencies]
    best: Sequence[Frequencies]  # the weight of the best form that each document has
    idf: float
    similar_weight: float


class _QueryIndex:
    """The segments, and the postings of every word of a query."""

    def __init__(self, session: Session, parts: QueryParts, readings: Readings) -> None:
        listed = segments_by_kind(session, DOCUMENTS, VOCABULARY)
        self.segments: Sequence[ListedSegment] = listed[DOCUMENTS]
        self.documents = sum(segment.count for segment in self.segments)
        self.mean_length = sum(segment.words for segment in self.segments) / max(self.documents, 1)
        self.mean_title = sum(segment.titles for segment in self.segments) / max(self.documents, 1)
        self.parts = self._with_columns(session, parts)
        self.interpretation = interpret(session, listed[VOCABULARY], self.parts, self.documents, readings)
        self._postings: list[dict[int, TermPostings]] = [{} for _ in self.segments]
        self._read(session, self.interpretation.words)
        self.interpretation = corrected(self.interpretation, self._has_documents)
        self._read(session, [word for word in self.interpretation.words if word.is_corrected])
        self._words = [self._word_postings(word) for word in self.interpretation.words]
        self._bound = sum((K1 + 1) * (word.idf + word.similar_weight) for word in self._words)

    def _with_columns(self, session: Session, parts: QueryParts) -> QueryParts:
        """Return the query with operators only on columns that a document has."""
        if not parts.columns and not parts.not_columns:
            return parts
        names = {name.lower() for name, _ in (*parts.columns, *parts.not_columns)}
        terms = {filter_term(column_key(name)): name for name in names}
        existing = read_terms(session, self.segments, np.array(sorted(terms), np.int64))
        return parts.for_columns({terms[term] for term in existing})

    def _read(self, session: Session, words: Iterable[QueryWord]) -> None:
        kinds = (TEXT, TITLE, FIELD)
        terms = {text_term(form) | kind for word in words for form in word.forms for kind in kinds}
        terms |= {text_term(form) for word in words for form in word.similar}
        if terms:
            for term, parts in read_terms(session, self.segments, np.array(sorted(terms), np.int64)).items():
                for part in parts:
                    self._postings[part.segment][term] = part

    def _has_documents(self, word: QueryWord) -> bool:
        terms = [text_term(form) | kind for form in word.forms for kind in (TEXT, FIELD)]
        return any(term in postings for postings in self._postings for term in terms)

    def _word_postings(self, word: QueryWord) -> _WordPostings:
        raised = {form: similarity**SIMILAR_POWER for form, similarity in word.similar.items()}
        text, title, in_fields = (self._frequencies(word.forms, kind) for kind in (TEXT, TITLE, FIELD))
        similar = self._frequencies(raised, TEXT)
        best = [self._best_weights(word, place) for place in range(len(self.segments))]
        having = sum(len(numbers) for numbers, _ in text) or sum(len(numbers) for numbers, _ in in_fields)
        alike = sum(int((frequencies > LEAST_ALIKE).sum()) for _, frequencies in similar)
        weight = SIMILAR_WEIGHT * len(word.typed) * idf(alike, self.documents) if raised else 0.0
        return _WordPostings(text, title, in_fields, similar, best, idf(having, self.documents), weight)

    def _best_weights(self, word: QueryWord, place: int) -> Frequencies:
        weights = np.zeros(self.segments[place].size)
        for form, weight in sorted(word.forms.items(), key=lambda pair: pair[1]):
            for kind in (TEXT, FIELD):
                if (part := self._postings[place].get(text_term(form) | kind)) is not None:
                    weights[part.documents] = 1.0 if word.is_corrected else weight
        numbers = np.flatnonzero(weights > 0)
        return numbers, weights[numbers]

    def _frequencies(self, forms: Mapping[str, float], kind: int) -> list[Frequencies]:
        """Return, for each segment, documents and the sum of the forms' frequencies in each, times their weights."""
        terms = {text_term(form) | kind: weight for form, weight in forms.items()}
        summed = []
        for segment, postings in zip(self.segments, self._postings, strict=True):
            parts = [(postings[term], weight) for term, weight in terms.items() if term in postings]
            summed.append(_summed(parts, segment.size))
        return summed

    def scores(
        self, place: int, mask: NDArray[np.bool_] | None, listed_only: bool = True
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the documents of a segment that match, and their scores from 0 to 1.

        Without `listed_only`, forms that are merely spelled like a word of the query suffice.
        """
        documents = self.segments[place].documents
        size = len(documents.keys)
        scores, listed = np.zeros(size), np.zeros(size, bool)
        # A query of one word is answered with that word first; in others a related form may be what was meant.
        power = ALONE_POWER if len(self._words) == 1 else FORM_POWER

        def add(frequencies: Frequencies, weight: float, lengths: NDArray[Any] | None, mean: float) -> NDArray[Any]:
            numbers, counts = frequencies
            if mask is not None and len(numbers):
                kept = mask[numbers]
                numbers, counts = numbers[kept], counts[kept]
            if len(numbers):
                of_word[numbers] += weight * _saturated(counts, 1.0 if lengths is None else lengths[numbers], mean)
            return numbers

        for word in self._words:
            of_word = np.zeros(size)
            listed[add(word.text[place], word.idf, documents.lengths, self.mean_length)] = True
            listed[add(word.field[place], FIELD_WEIGHT * word.idf, None, 1.0)] = True
            add(word.title[place], TITLE_WEIGHT * word.idf, documents.titles, self.mean_title)
            add(word.similar[place], word.similar_weight, documents.lengths, self.mean_length)
            certainty = np.full(size, ONLY_SIMILAR)
            numbers, weights = word.best[place]
            certainty[numbers] = weights**power
            scores += certainty * of_word
        if not self._words and mask is not None:  # operators on columns, and nothing to rank by
            numbers = np.flatnonzero(mask)
            return numbers, np.ones(len(numbers))
        numbers = np.flatnonzero(listed if listed_only else scores > 0)
        return numbers, np.minimum(scores[numbers] / max(self._bound, 1e-9), 1.0)


def _summed(parts: Sequence[tuple[TermPostings, float]], size: int) -> Frequencies:
    """Return the distinct documents, ascending, and the weighted sum of the frequencies of each."""
    if not parts:
        return np.zeros(0, np.uint16), np.zeros(0)
    if len(parts) == 1:
        postings, weight = parts[0]
        return postings.documents, postings.frequencies * weight
    documents = np.concatenate([postings.documents for postings, _ in parts])
    frequencies = np.concatenate([postings.frequencies * weight for postings, weight in parts])
    if len(documents) <= FEW:
        distinct, owners = np.unique(documents, return_inverse=True)
        return distinct, np.bincount(owners, frequencies).astype(np.float64)
    sums = np.bincount(documents, frequencies, size)
    distinct = np.flatnonzero(sums > 0)  # of a mask: several times as fast as of numbers
    return distinct, sums[distinct].astype(np.float64)


def _saturated(frequencies: NDArray[np.float64], lengths: NDArray[Any] | float, mean: float) -> NDArray[np.float64]:
    """Return the part of BM25 that depends on the document, at most K1 + 1."""
    norm = K1 * (1 - B + B * lengths / max(mean, 1e-9))
    saturated: NDArray[np.float64] = frequencies * (K1 + 1) / (frequencies + norm)
    return saturated


def idf(having: int, documents: int) -> float:
    """Return the inverse document frequency of a word in `having` of `documents`; never negative."""
    having = min(having, documents)
    return math.log(1 + (documents - having + 0.5) / (having + 0.5))
