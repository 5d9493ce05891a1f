"""Which documents of each segment pass a search: its filter, phrases, exclusions and operators on columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.orm import Session

from indexes.filters import Filter
from indexes.segments import ListedSegment, TermPostings, read_terms
from search.interpretation import Interpretation, Phrase
from search.query import QueryParts
from utils.terms import FIELD, TEXT, column_number, in_columns, index_forms, text_term, text_terms

Postings = Mapping[int, Sequence[TermPostings]]
Masks = Sequence[NDArray[np.bool_] | None]


def document_masks(
    session: Session,
    segments: Sequence[ListedSegment],
    meaning: Interpretation,
    parts: QueryParts,
    restriction: Filter,
) -> Masks:
    """Return, for each segment, which documents pass the filter, the phrases and the exclusions; None if all do."""
    masks = _Masks(segments)
    unwanted_terms = {text_term(form) | kind for form in meaning.not_forms for kind in (TEXT, FIELD)}
    unwanted_terms.update(restriction.excluded)
    terms = unwanted_terms.union(restriction.required)
    postings = read_terms(session, segments, np.array(sorted(terms), np.int64)) if terms else {}
    for term in restriction.required:
        masks.keep(postings.get(term, ()))
    for term in unwanted_terms:
        masks.drop(postings.get(term, ()))
    for statement in restriction.others:
        masks.keep_keys(session.execute(text(statement), dict(restriction.values)).scalars().all())
    wanted = [*_phrase_terms(meaning.phrases), *_column_terms(parts.columns)]
    unwanted = [*_phrase_terms(meaning.not_phrases), *_column_terms(parts.not_columns)]
    if wanted or unwanted:
        in_phrases = {term for kinds in (*wanted, *unwanted) for first, rest in kinds for term in (*first, *rest)}
        positions = read_terms(session, segments, np.array(sorted(in_phrases), np.int64), with_positions=True)
        for kinds in wanted:
            masks.keep(list(_with_phrase(kinds, positions, len(segments))))
        for kinds in unwanted:
            masks.drop(list(_with_phrase(kinds, positions, len(segments))))
    return masks.masks


class _Masks:
    """Which documents of each segment are left."""

    def __init__(self, segments: Sequence[ListedSegment]) -> None:
        self._segments = segments
        self.masks: list[NDArray[np.bool_] | None] = [None] * len(segments)

    def keep(self, parts: Iterable[TermPostings]) -> None:
        kept = [np.zeros(segment.size, bool) for segment in self._segments]
        for part in parts:
            kept[part.segment][part.documents] = True
        for place, mask in enumerate(kept):
            self._narrow(place, mask)

    def drop(self, parts: Iterable[TermPostings]) -> None:
        for part in parts:
            mask = np.ones(self._segments[part.segment].size, bool)
            mask[part.documents] = False
            self._narrow(part.segment, mask)

    def keep_keys(self, keys: Sequence[int]) -> None:
        wanted = np.array(sorted(keys), np.int64)
        for place, segment in enumerate(self._segments):
            mask = np.zeros(segment.size, bool)
            numbers = segment.documents.numbers_of(wanted)
            mask[numbers[numbers >= 0]] = True
            self._narrow(place, mask)

    def _narrow(self, place: int, mask: NDArray[np.bool_]) -> None:
        before = self.masks[place]
        self.masks[place] = mask if before is None else before & mask


# The terms of a phrase in one kind of text: any of several as the first, and those that follow it.
PhraseTerms = tuple[Sequence[int], Sequence[int]]


def _phrase_terms(phrases: Iterable[Phrase]) -> Iterator[list[PhraseTerms]]:
    """Yield the terms of each phrase in texts and in other fields."""
    for phrase in phrases:
        yield [
            ([text_term(form) | kind for form in phrase.first], [text_term(form) | kind for form in phrase.rest])
            for kind in (TEXT, FIELD)
        ]


def _column_terms(columns: Iterable[tuple[str, str]]) -> Iterator[list[PhraseTerms]]:
    """Yield the terms of what each named column must contain."""
    for name, value in columns:
        terms = in_columns(text_terms(" ".join(index_forms(value)))[0], column_number(name.lower())).tolist()
        yield [(terms[:1], terms[1:])]


def _with_phrase(kinds: Iterable[PhraseTerms], postings: Postings, segments: int) -> Iterator[TermPostings]:
    """Yield the documents in which the words of a phrase follow one another."""
    for first, rest in kinds:
        for place in range(segments):
            places = np.unique(np.concatenate([_places(postings, term, place, 0) for term in first]))
            for offset, term in enumerate(rest, 1):
                if len(places):
                    places = np.intersect1d(places, _places(postings, term, place, offset), assume_unique=True)
            if len(places):
                documents = np.unique(places >> 32)
                yield TermPostings(place, documents, np.ones(len(documents)))


def _places(postings: Postings, term: int, place: int, offset: int) -> NDArray[np.int64]:
    """Return document << 32 | position of a term, less its offset in the phrase."""
    for part in postings.get(term, ()):
        if part.segment == place and part.positions is not None:
            documents = np.repeat(part.documents.astype(np.int64), part.frequencies)
            places: NDArray[np.int64] = (documents << 32) + part.positions - offset
            return places
    return np.zeros(0, np.int64)
