"""Keyword search: BM25 over the postings of every document that has a word of the query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import BoundedSemaphore
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from indexes.access import hidden_collections
from indexes.filters import Filter
from indexes.segments import (
    DOCUMENTS,
    VOCABULARY,
    ListedSegment,
    SegmentGone,
    TermPostings,
    noticing_damage,
    read_terms,
    segments_by_kind,
)
from indexes.words import column_key
from search.interpretation import Interpretation, QueryWord, corrected, interpret
from search.masks import Masks, document_masks
from search.matcher import QueryMatcher
from search.query import QueryParts
from search.results import Correction
from search.scoring import ScoredWord, Scorer
from utils.terms import FIELD, TEXT, TITLE, filter_term, text_term
from utils.word_readings import Readings, current_readings

MOST_RANKED = 2_000
TRIES = 4  # segments that are merged during a search are listed again
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
        with _slots, noticing_damage():
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

    def wanted(self) -> str:
        """Return the text as an encoder gets it: without operators, and typed on the right keyboard."""
        retyped = self.interpretation.retyped
        return " ".join((*(retyped.get(word, word) for word in self.parts.words), *self.parts.phrases))

    @property
    def knows_a_word(self) -> bool:
        """True if any document contains a word of the query, or one that was surely meant."""
        return any(word.is_known for word in self.interpretation.words)

    def matches(self, restriction: Filter, most: int = MOST_RANKED) -> TextMatches:
        """Return the documents that match and pass the filter, the best `most` of them."""
        if self.is_empty:
            return TextMatches.none()
        with _slots, noticing_damage():
            masks = _until_consistent(lambda: self._masks(restriction))
            parts = [(place, *self._index.scores(place, mask)) for place, mask in enumerate(masks)]
        total = sum(len(numbers) for _, numbers, _ in parts)
        best = [self._best(place, numbers, scores, most) for place, numbers, scores in parts if len(numbers)]
        if not best:
            return TextMatches.none()
        documents, scores = (np.concatenate(columns) for columns in zip(*best, strict=True))
        order = np.lexsort((documents, -scores))[:most]
        return TextMatches(documents[order], scores[order], total)

    def _masks(self, restriction: Filter) -> Masks:
        return document_masks(self._session, self._index.segments, self.interpretation, self.parts, restriction)

    def _best(
        self, place: int, numbers: NDArray[Any], scores: NDArray[np.float64], most: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if len(scores) > most:
            least = np.partition(scores, -most)[-most]
            kept = scores >= least  # with all of the same score: ties are broken by key
            numbers, scores = numbers[kept], scores[kept]
        return self._index.segments[place].documents.keys[numbers], scores

    def scores(self, documents: Sequence[int]) -> dict[int, float]:
        """Return {document: score}, 0 without a word of the query; those that it excludes are left out."""
        with noticing_damage():
            return self._scores(documents)

    def _scores(self, documents: Sequence[int]) -> dict[int, float]:
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


def readable_segments(session: Session, segments: Sequence[ListedSegment]) -> Sequence[ListedSegment]:
    """Return segments in which documents of hidden collections count as deleted: no word of theirs is ever seen."""
    hidden = np.array(sorted(map(filter_term, hidden_collections(session))), np.int64)
    if not len(hidden):
        return segments
    narrowed = list(segments)
    for parts in read_terms(session, segments, hidden).values():
        for part in parts:
            narrowed[part.segment] = narrowed[part.segment].without(part.documents)
    return narrowed


class _QueryIndex:
    """The segments, and the postings of every word of a query."""

    def __init__(self, session: Session, parts: QueryParts, readings: Readings) -> None:
        listed = segments_by_kind(session, DOCUMENTS, VOCABULARY)
        self.segments: Sequence[ListedSegment] = readable_segments(session, listed[DOCUMENTS])
        self.parts = self._with_columns(session, parts)
        documents = sum(segment.count for segment in self.segments)
        readable = partial(self._readable, session)
        self.interpretation = interpret(session, listed[VOCABULARY], self.parts, documents, readings, readable)
        self._postings: list[dict[int, TermPostings]] = [{} for _ in self.segments]
        self._read(session, self.interpretation.words)
        self.interpretation = corrected(
            session, self.interpretation, self.parts, self._has_documents, readings, readable
        )
        self._read(session, [word for word in self.interpretation.words if word.is_corrected])
        words = [ScoredWord.of(word, self._postings) for word in self.interpretation.words]
        self._scorer = Scorer(self.segments, words)

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

    def _readable(self, session: Session, forms: Iterable[str]) -> set[str]:
        """Return those of the forms that a document has which the session may read."""
        if not hidden_collections(session):
            return set(forms)
        terms = {text_term(form) | kind: form for form in forms for kind in (TEXT, FIELD)}
        return {terms[term] for term in read_terms(session, self.segments, np.array(sorted(terms), np.int64))}

    def _has_documents(self, word: QueryWord) -> bool:
        terms = [text_term(form) | kind for form in word.forms for kind in (TEXT, FIELD)]
        return any(term in postings for postings in self._postings for term in terms)

    def scores(
        self, place: int, mask: NDArray[np.bool_] | None, listed_only: bool = True
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Return the documents of a segment that match, and their scores from 0 to 1.

        Without `listed_only`, forms that are merely spelled like a word of the query suffice.
        """
        if not self.interpretation.words and mask is not None:  # operators on columns, and nothing to rank by
            numbers = np.flatnonzero(mask)
            return numbers, np.ones(len(numbers))
        return self._scorer.scores(place, mask, listed_only)
